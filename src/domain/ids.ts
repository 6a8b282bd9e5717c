/** A brand keeps ids of different kinds from being mixed up; at run time they are plain strings or numbers. */
type Brand<T, Name extends string> = T & { readonly __brand: Name }

/** One HTTP call. Unique within the life of a server process. */
export type RequestId = Brand<string, 'RequestId'>

/** One stream of tokens: a choice of a request. Unique within the life of an engine process. */
export type SequenceId = Brand<string, 'SequenceId'>

/** Who is charged: the owner of an API key, or the client's address when there are no keys. */
export type TenantId = Brand<string, 'TenantId'>

/** Index of a lane (a llama.cpp context), 0-based. */
export type LaneId = Brand<number, 'LaneId'>

/** Index of a slot, 0-based and unique over all lanes of an engine. */
export type SlotId = Brand<number, 'SlotId'>

/** A saved copy of a slot's cache. Counts up over all lanes of a scheduler, and is never used twice. */
export type ParkId = Brand<number, 'ParkId'>

/** Index into the model's vocabulary. */
export type Token = Brand<number, 'Token'>

/** A point in time or a duration, in milliseconds. Points in time come from a monotonic clock. */
export type Millis = number

export const asRequestId = (id: string): RequestId => id as RequestId
export const asSequenceId = (id: string): SequenceId => id as SequenceId
export const asTenantId = (id: string): TenantId => id as TenantId
export const asLaneId = (index: number): LaneId => index as LaneId
export const asSlotId = (index: number): SlotId => index as SlotId
export const asParkId = (number: number): ParkId => number as ParkId
export const asToken = (index: number): Token => index as Token
