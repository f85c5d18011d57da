// What every page may know: who reads, what the service says of itself, and how to ask for confirmation.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Link } from "../api/live";
import type { Overview, Session } from "../api/types";
import type { Loaded } from "../api/use";
import type { Consequence } from "../lib/consequences";

export interface Question extends Consequence {
  /** a choice that changes what will happen */
  option?: { label: string; on: boolean; rephrase: (on: boolean) => Consequence };
  /** a number that changes what will happen */
  number?: { label: string; value: number; least: number; most: number; rephrase: (value: number) => Consequence };
  /** `progress` is shown while it runs */
  run: (option: boolean, number: number, progress: (text: string) => void) => Promise<string>;
}

export type Theme = "system" | "light" | "dark";

export interface App {
  session: Session | null;
  link: Link;
  overview: Loaded<Overview>;
  /** may change nodes and resources */
  operator: boolean;
  /** may change how the service works */
  admin: boolean;
  ask: (question: Question) => void;
  say: (text: string, bad?: boolean) => void;
  logIn: () => void;
  logOut: () => void;
  theme: Theme;
  setTheme: (theme: Theme) => void;
}

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("outside of the application");
  return app;
}
