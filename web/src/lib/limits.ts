// What ends a limit that keeps a job waiting, for those who can do something about it. Pure.

/** By the word of the service for the limit that binds (`answer.limit`). */
const ENDS: Readonly<Record<string, string>> = {
  closed: "The next trial; or “Forget failures” on the Resources page, once the cause is mended.",
  "sold-out": "Free capacity or quota at the cloud. It is asked again by itself.",
  throttled: "Nothing to do: the cloud is asked again by itself, more slowly.",
  failing: "Nothing to do: the launch is tried again by itself. Its error stands on the Resources page.",
  frozen: "“Restore” on the Resources page.",
  draining: "“Restore” on the Resources page.",
  "max-nodes": "A node that becomes free, or a higher maximum of the resource (quantity: max).",
  "max-starting": "Nodes on their way that have joined.",
  "cluster-nodes": "A node of any resource that ends, or a higher limit (limits: max_nodes).",
  "cluster-cores": "A node of any resource that ends, or a higher limit (limits: max_cores).",
  quota: "A machine of the tenancy that ends, or more quota from the cloud.",
  "spot-first": "Spot instances of the better resource, or the end of the time that they are waited for.",
  "no-price": "A price for the resource (price_per_hour), or no budget.",
  "budget-hour": "A node that ends, or a higher budget (limits: budget_per_hour).",
  "budget-month": "The next month, or a higher budget (limits: budget_per_month).",
  "launch-rate": "Nothing to do: it is launched when its turn comes.",
  "no-view": "The first answer of its cloud. Why there is none stands under Sources on the Settings page.",
  components: "Nodes for the other components of the same job.",
  "auto-off": "Automatic mode on, or observe-only off, on the Settings page; or “Add nodes” on the Resources page.",
};

/** What ends it; "" for a limit that we do not know. */
export function endOf(limit: string): string {
  return ENDS[limit] ?? "";
}

export const LIMITS = Object.keys(ENDS);
