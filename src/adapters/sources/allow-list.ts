/** Whether a reference may be fetched, and which servers are trusted wherever their names lead. */
export interface AllowList {
  readonly entries: readonly string[]
  allows (reference: string): boolean
  /** Whether the operator has named the server. */
  trusts (url: URL): boolean
}

const huggingFace = 'hf:'

/** @returns what is wrong with an entry, as the end of a sentence; null for one that is right. */
export function allowListProblem (entry: string): string | null {
  if (entry.startsWith(huggingFace)) return /^hf:(?:[\w.-]+\/?(?:[\w.-]+\/?)?)?$/.test(entry) ? null : 'must be hf:, hf:OWNER/ or hf:OWNER/REPOSITORY'
  if (!URL.canParse(entry)) return 'must be a prefix such as https://models.example.com/adapters/ or hf:OWNER/'
  return urlProblem(new URL(entry))
}

/** What is wrong with the address of a file. */
export function urlProblem (url: URL): string | null {
  if (url.username !== '' || url.password !== '') return 'must not have a user or a password in it'
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackName(url.hostname))) return null
  return 'must begin with https:// (http:// only for this machine itself)'
}

const isLoopbackName = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** @param endpoint Hugging Face, or what stands in for it. */
export function createAllowList (entries: readonly string[], endpoint: URL): AllowList {
  const urls = entries.filter((entry) => !entry.startsWith(huggingFace)).map((entry) => new URL(entry))
  const repositories = entries.filter((entry) => entry.startsWith(huggingFace)).map((entry) => entry.slice(huggingFace.length))
  return {
    entries,
    allows (reference) {
      if (reference.startsWith(huggingFace)) {
        const name = reference.slice(huggingFace.length)
        return repositories.some((prefix) => prefix === '' || isBelow(name.replace(/@[^/@]*$/, ''), prefix))
      }
      if (!URL.canParse(reference)) return false
      // Dots in the path are resolved by now, encoded ones too.
      const url = new URL(reference)
      return urlProblem(url) === null && urls.some((prefix) => prefix.origin === url.origin && isBelow(url.pathname, prefix.pathname))
    },
    trusts: (url) => url.origin === endpoint.origin || urls.some(({ origin }) => origin === url.origin)
  }
}

/** Whole parts of paths: `/adapters` is no prefix of `/adapters-of-others`. */
function isBelow (path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`)
}
