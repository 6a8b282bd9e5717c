/** What a promise is rejected with, an error of a client's own class; fails when it is answered, and throws what else it is rejected with. */
export async function rejectionOf<Rejection extends Error> (promise: PromiseLike<unknown>, kind: abstract new (...parts: never[]) => Rejection): Promise<Rejection> {
  try {
    await promise
  } catch (error) {
    if (error instanceof kind) return error
    throw error
  }
  throw new Error('The request was answered')
}
