/** What `piphi/home` is on every device, beside how it reads a house and opens a home. */

export type { FollowOptions, LiveHouse } from "../../runtime/home/assistant/follow.ts";
export type { EntityState, HouseDocument } from "../../runtime/home/assistant/registries.ts";
export { commandSchema } from "../../runtime/home/command-schema.ts";
export { areaCalled, targetsOf } from "../../runtime/home/targets.ts";
export type * from "../../runtime/home/types.ts";
export type { Home, OpenHomeOptions, SpokenIntent, SpokenUnderstanding, UnderstandOptions } from "./open.ts";
export { type StateOf, speak } from "./speech.ts";
