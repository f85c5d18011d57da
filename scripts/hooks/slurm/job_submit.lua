-- Tells Dynamic Cluster that a job is coming, so that it looks at the queue at once instead of at its next poll.
--
-- Slurm: JobSubmitPlugins=lua, and this file beside slurm.conf. If you have a job_submit.lua already, take over
-- "doorbell" and "ring", and call ring() at the start of your two functions.
-- Service: `doorbell: /run/dynamiccluster/doorbell`, a file that SlurmUser may write (docs/schedulers/slurm.md).
--
-- slurmctld holds its locks while this runs, so it must not wait for anything. It overwrites one byte of a file that is
-- there already, which takes some microseconds whether the service runs, hangs or is gone. "r+" creates nothing, and
-- opens even a named pipe without waiting. Whatever fails is nobody's business here.

local doorbell = "/run/dynamiccluster/doorbell"

local function ring()
   pcall(function()
      local file = io.open(doorbell, "r+")
      if file then
         file:write("1")
         file:close()
      end
   end)
end

function slurm_job_submit(job_desc, part_list, submit_uid)
   ring()
   return slurm.SUCCESS
end

function slurm_job_modify(job_desc, job_rec, part_list, modify_uid)
   ring()
   return slurm.SUCCESS
end

return slurm.SUCCESS
