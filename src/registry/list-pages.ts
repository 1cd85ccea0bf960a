/**
 * The pages of a filtered list. A registry's `Link` says where the next page begins, by the last name of this one. With pages of one entry, a client
 * could read every name there that the filter hides. So the place is encrypted. A client may only begin where a Link told it to, or after a name that
 * it may see: any other place would reveal, by what follows it, which names stand before.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/** Marks an encrypted place: no name of a repository or tag begins with it. */
const SEALED = '~'
const NONCE = 12
const TAG = 16
const ALGORITHM = 'aes-256-gcm'

type MayShow = (entry: string) => boolean | Promise<boolean>

export class ListPages {
  readonly #key: Buffer
  readonly #list: string
  readonly #mayShow: MayShow

  /**
   * @param key 32 bytes, the same in all gateways that serve the same clients
   * @param list the path of the list: a place in one list means nothing in another
   */
  constructor(key: Buffer, list: string, mayShow: MayShow) {
    this.#key = key
    this.#list = list
    this.#mayShow = mayShow
  }

  /** The query for the registry, from the client's query; both without `?`. Undefined where the client may not begin there. */
  async asked(query: string): Promise<string | undefined> {
    const given = new URLSearchParams(query)
    const last = given.get('last') ?? ''
    if (last.startsWith(SEALED)) return this.#open(last.slice(SEALED.length))
    if (last !== '' && !(await this.#mayShow(last))) return undefined
    // Other parameters that registries know, such as a search, could also reveal names. A query that is written anew is never ambiguous.
    const kept = ['n', 'last'].flatMap((name) => (given.has(name) ? [[name, given.get(name) ?? '']] : []))
    return new URLSearchParams(kept).toString()
  }

  /** The Link that the client gets; undefined for one that cannot be read. */
  async linked(value: string): Promise<string | undefined> {
    const href = /^<([^<>"]*)> *; *rel="?next"? *$/i.exec(value)?.[1]
    if (href === undefined) return undefined
    const [path = '', query = ''] = href.split(/\?(.*)/s)
    const last = plainPlace(query)
    if (last !== undefined && (last === '' || (await this.#mayShow(last)))) return value
    return `<${path}?last=${SEALED}${this.#seal(query)}>; rel="next"`
  }

  #seal(query: string): string {
    const nonce = randomBytes(NONCE)
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce).setAAD(Buffer.from(this.#list))
    const sealed = Buffer.concat([cipher.update(query, 'utf8'), cipher.final()])
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
  }

  #open(text: string): string | undefined {
    const bytes = Buffer.from(text, 'base64url')
    if (bytes.length < NONCE + TAG) return undefined
    const decipher = createDecipheriv(ALGORITHM, this.#key, bytes.subarray(0, NONCE))
      .setAAD(Buffer.from(this.#list))
      .setAuthTag(bytes.subarray(NONCE, NONCE + TAG))
    try {
      return Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()]).toString('utf8')
    } catch {
      return undefined
    }
  }
}

/** Where a page begins, empty for the first one. Undefined for a query that is ambiguous or holds more than that and a number. */
function plainPlace(query: string): string | undefined {
  const parameters = new URLSearchParams(query)
  const names = [...parameters.keys()]
  const isPlain = names.every((name) => name === 'n' || name === 'last') && new Set(names).size === names.length
  return isPlain && !query.includes(';') ? (parameters.get('last') ?? '') : undefined
}
