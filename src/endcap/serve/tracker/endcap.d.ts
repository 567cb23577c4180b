/** What shoppers do goes to the shop's own engine, and slates come back. */
export interface Options {
  /** Address of the Endcap server. */
  url: string;
  /** A public key (`pk_…`). */
  key?: string;
  userId?: string;
  /** The shop's own id of this browser; by default a random one, kept in localStorage. */
  visitorId?: string;
  /** true: send; false: never; null: wait, `consent()` decides. Default true. */
  consent?: boolean | null;
  /** Listen to Google Analytics 4's data layer; a string names it. */
  dataLayer?: boolean | string;
  /** Milliseconds in which events gather before they are sent. Default 300. */
  flushMs?: number;
  debug?: boolean;
}
export type Kind =
  | "view" | "click" | "search" | "cart" | "uncart" | "wish" | "purchase" | "refund" | "rating"
  | "play" | "impression" | "dismiss" | (string & {});
export interface Fields {
  item_id?: string;
  variant_id?: string;
  value?: number;
  quantity?: number;
  price?: number | string;
  currency?: string;
  order_id?: string;
  query?: string;
  placement?: string;
  request_id?: string;
  position?: number;
  properties?: Record<string, unknown>;
}
export interface Order {
  order_id: string;
  currency?: string;
  items: Fields[];
}
export interface Ask {
  placement?: string;
  k?: number;
  context_items?: string[];
  exclude?: string[];
  lat?: number;
  lon?: number;
  lang?: "auto" | "en" | "zh";
  [more: string]: unknown;
}
export interface SlateItem {
  item_id: string;
  rank: number;
  score: number | null;
  source: string;
  why: string;
  properties: Record<string, unknown>;
}
export interface Slate {
  request_id: string;
  placement: string;
  served_by: string;
  degraded: boolean;
  items: SlateItem[];
}
export function init(options: Options): void;
export function track(kind: Kind, fields?: Fields): void;
export function purchase(order: Order): void;
/** This shopper is signed in as `userId`; null when they have signed out. */
export function identify(userId: string | null): void;
export function consent(yes: boolean): void;
/**
 * The page has changed to what it says now: each `data-endcap-view` that was no view yet at this address
 * is one. Needed only where neither the element nor what it says changes with the address.
 */
export function page(): void;
/** Watch elements with `data-endcap-item` now; what is added to the page is found by itself, too. */
export function watch(within?: ParentNode): void;
export function flush(): Promise<void>;
/** Ask for a slate; what was tracked before is sent first, so the answer knows of it. */
export function recommend(ask?: Ask): Promise<Slate>;
