/** A page of objects, as OpenAI's lists are read. */
export const toPage = <Item extends { readonly id: string }>(data: readonly Item[], hasMore: boolean) => ({
  object: 'list' as const, data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more: hasMore
})
