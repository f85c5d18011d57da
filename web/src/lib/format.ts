// Figures, instants and durations as people read them. Pure.

const SECOND = 1;
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

/** "12 s", "4 min", "3 h 20 min", "2 d 4 h": two units at most. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < MINUTE) return `${s} s`;
  if (s < HOUR) {
    const rest = s % MINUTE;
    return s < 10 * MINUTE && rest ? `${Math.floor(s / MINUTE)} min ${rest} s` : `${Math.floor(s / MINUTE)} min`;
  }
  if (s < DAY) {
    const minutes = Math.floor((s % HOUR) / MINUTE);
    return minutes ? `${Math.floor(s / HOUR)} h ${minutes} min` : `${Math.floor(s / HOUR)} h`;
  }
  const hours = Math.floor((s % DAY) / HOUR);
  return hours && s < 100 * DAY ? `${Math.floor(s / DAY)} d ${hours} h` : `${Math.floor(s / DAY)} d`;
}

/** A walltime as schedulers print it: "1-02:03:04", "02:03:04". */
export function walltime(seconds: number): string {
  if (!seconds) return "–";
  const two = (n: number) => String(Math.floor(n)).padStart(2, "0");
  const days = Math.floor(seconds / DAY);
  const clock = `${two((seconds % DAY) / HOUR)}:${two((seconds % HOUR) / MINUTE)}:${two((seconds % MINUTE) / SECOND)}`;
  return days ? `${days}-${clock}` : clock;
}

const GROUPS = new Intl.NumberFormat("en-GB");

/** 12,345 */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : GROUPS.format(value);
}

/** "980", "1.2 k", "35 M", "1.4 G": for axes, and for figures whose unit is not known. */
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  let [rest, step] = [Math.abs(value), 0];
  while (rest >= 999.5 && step < 5) {
    rest /= 1000;
    step += 1;
  }
  const digits = rest >= 100 || (step === 0 && Number.isInteger(rest)) ? 0 : rest >= 10 ? 1 : 2;
  const text = String(Number(rest.toFixed(digits)));
  return `${value < 0 ? "-" : ""}${text}${step ? ` ${" kMGTP"[step]}` : ""}`;
}

/** Money has no currency here: prices are in whatever unit the site configured. */
export function money(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const digits = value !== 0 && Math.abs(value) < 0.1 ? 3 : 2;
  return new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** MiB as people say it: "512 MiB", "7.8 GiB". */
export function memory(mib: number): string {
  if (!mib) return "–";
  if (mib < 1024) return `${mib} MiB`;
  const gib = mib / 1024;
  return `${gib >= 100 || Number.isInteger(gib) ? Math.round(gib) : gib.toFixed(1)} GiB`;
}

/** "3 nodes", "1 node". */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short" });

/** The reader's own time zone: "14:03:22" today, "12 Nov 14:03:22" on other days. */
export function instant(iso: string | null | undefined, now: number = Date.now()): string {
  if (!iso) return "–";
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "–";
  const sameDay = new Date(now).toDateString() === date.toDateString();
  return sameDay ? CLOCK.format(date) : `${DATE.format(date)} ${CLOCK.format(date)}`;
}

/** Seconds from the instant to `now` (epoch milliseconds); null if there is no instant. */
export function since(iso: string | null | undefined, now: number): number | null {
  if (!iso) return null;
  const at = Date.parse(iso);
  return Number.isNaN(at) ? null : (now - at) / 1000;
}
