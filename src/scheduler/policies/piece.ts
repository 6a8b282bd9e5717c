/**
 * llama.cpp's attention on a CPU works on so many tokens of a sequence at a time (`GGML_FA_TILE_Q`): a pass of one more takes as long as one of twice as
 * many, and in passes of fewer a token takes up to four times as long, the more the longer the context is.
 */
export const attentionTile = 64

/**
 * How many of a prompt's pending tokens to read in a step without decodes that has room for so many. What remains are whole tiles: what does not
 * fill one is read first, where the context is shortest.
 */
export function pieceOf (pending: number, room: number): number {
  if (pending <= room) return pending
  if (room < attentionTile) return room
  return room - (room - pending % attentionTile + attentionTile) % attentionTile
}
