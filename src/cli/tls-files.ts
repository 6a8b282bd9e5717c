import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config/config.ts'
import { fileErrorText } from '../domain/file-error-text.ts'
import { StartupError } from '../domain/startup-error.ts'

/** A certificate with its chain, and its private key, as PEM. */
export interface TlsPair {
  readonly cert: Buffer
  readonly key: Buffer
}

export interface TlsFilesOptions {
  readonly certFile: string
  readonly keyFile: string
  /** Names a setting in messages. */
  readonly sourceOf: (flag: string) => string
  readonly logger: { info (details: object, message: string): void, warn (details: object, message: string): void }
}

/** How often the files are looked at. Looking follows links, which is how secrets of containers are replaced. */
const watchIntervalMs = 5000

/** The certificate that the server shows. It is read again when its files change: renewing one takes no restart. */
export class TlsFiles {
  readonly #options: TlsFilesOptions
  #pair: TlsPair
  #onChange: ((pair: TlsPair) => void) | null = null
  #timer: NodeJS.Timeout | undefined
  /** What the files were before they were last read: what they become while they are read is a change. */
  #stateRead = ''

  /** @throws StartupError when the files cannot be read or do not belong together */
  constructor (options: TlsFilesOptions) {
    this.#options = options
    this.#pair = this.#read()
  }

  get pair (): TlsPair { return this.#pair }

  /** When the certificate ends, in milliseconds since 1970. */
  get endsAt (): number { return Date.parse(new X509Certificate(this.#pair.cert).validTo) }

  /** @param onChange gets every later pair */
  watch (onChange: (pair: TlsPair) => void, intervalMs = watchIntervalMs): void {
    this.#onChange = onChange
    // Not `watchFile`, which compares with what it finds some time after it was called.
    this.#timer = setInterval(() => { if (this.#state() !== this.#stateRead) this.reload() }, intervalMs).unref()
  }

  /** Takes over what the files have now. A pair that cannot be is logged and leaves the last one: half of it may be written yet. */
  reload (): void {
    const { certFile, logger } = this.#options
    let pair: TlsPair
    try {
      pair = this.#read()
    } catch (error) {
      logger.warn({ reason: (error as Error).message }, 'the TLS certificate stays as it was')
      return
    }
    if (pair.cert.equals(this.#pair.cert) && pair.key.equals(this.#pair.key)) return
    this.#pair = pair
    this.#onChange?.(pair)
    logger.info({ file: certFile }, 'TLS certificate read again')
  }

  close (): void {
    clearInterval(this.#timer)
  }

  #state (): string {
    return [this.#options.certFile, this.#options.keyFile].map((file) => {
      try {
        const { ino, size, mtimeMs, ctimeMs } = statSync(file)
        return [ino, size, mtimeMs, ctimeMs].join(' ')
      } catch {
        return 'none'
      }
    }).join()
  }

  #read (): TlsPair {
    const { certFile, keyFile, sourceOf } = this.#options
    this.#stateRead = this.#state()
    const pair = {
      cert: readPem(certFile, `The TLS certificate ${certFile} (${sourceOf('tls-cert')})`),
      key: readPem(keyFile, `The TLS key ${keyFile} (${sourceOf('tls-key')})`)
    }
    try {
      createSecureContext(pair)
    } catch (error) {
      throw new StartupError(`The TLS certificate ${certFile} (${sourceOf('tls-cert')}) and the key ${keyFile} (${sourceOf('tls-key')}) cannot be used: ${(error as Error).message}`, { cause: error })
    }
    return pair
  }
}

/** Null without TLS. @throws StartupError like {@link TlsFiles} */
export const openTlsFiles = (
  { tlsCert, tlsKey }: Pick<Config, 'tlsCert' | 'tlsKey'>, options: Pick<TlsFilesOptions, 'sourceOf' | 'logger'>
): TlsFiles | null => tlsCert === 'off' ? null : new TlsFiles({ certFile: tlsCert, keyFile: tlsKey, ...options })

function readPem (file: string, what: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new StartupError(`${what} cannot be read: ${fileErrorText(error)}`, { cause: error })
  }
}
