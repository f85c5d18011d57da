// Names under which the pages know the service's documents. The documents themselves are generated: documents.ts.

import type { AttentionDoc, BulkRequest } from "./documents";

export type {
  ActionDoc as Action,
  AttentionDoc as Attention,
  BulkDoc as BulkReply,
  CapacityDoc as Capacity,
  ChangeDoc as Change,
  CostDoc as Costs,
  EventDoc as HistoryEvent,
  FiguresDoc as GraphiteSeries,
  FiguresList as Figures,
  GraphsDoc as Graphs,
  HistoryDoc as History,
  JobDetail,
  JobDoc as Job,
  NodeDetail,
  NodeDoc as WorkerNode,
  NodeList,
  OfferDoc as Offer,
  OverviewDoc as Overview,
  PlanDoc as Plan,
  PluginDoc as Plugin,
  ResourceDoc as Resource,
  SessionDoc as Session,
  SourceDoc as Source,
  StatusDoc as Status,
} from "./documents";

/** ISO 8601 in UTC; null = never, or not known. */
export type Instant = string | null;

export type Severity = AttentionDoc["severity"];

/** One column of a chart. */
export type Values = (number | null)[];

export type NodeAction = BulkRequest["action"];
