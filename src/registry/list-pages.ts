/**
 * The pages of a filtered list. Registries tell in `Link` where the next page begins, by the last name of this one: with pages of one entry the client
 * would read there every name that the filter keeps from it. Such a place is encrypted; and a client can only begin where it has been told to, or after
 * what it may see, since any other place would tell by what follows it which names stand before.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/** No name of a repository or tag begins with it. */
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
   * @param key 32 bytes, the same in every gateway that clients may meet
   * @param list the path of the list: a place in one means nothing in another
   */
  constructor(key: Buffer, list: string, mayShow: MayShow) {
    this.#key = key
    this.#list = list
    this.#mayShow = mayShow
  }

  /** What the registry is asked, for the client's query; both without `?`. Undefined for a place that the client may not name. */
  async asked(query: string): Promise<string | undefined> {
    const given = new URLSearchParams(query)
    const last = given.get('last') ?? ''
    if (last.startsWith(SEALED)) return this.#open(last.slice(SEALED.length))
    if (last !== '' && !(await this.#mayShow(last))) return undefined
    // Whatever else registries know, as a search, could tell of names too; and written anew, a query has one reading.
    const kept = ['n', 'last'].flatMap((name) => (given.has(name) ? [[name, given.get(name) ?? '']] : []))
    return new URLSearchParams(kept).toString()
  }

  /** What the client gets of a Link; undefined for one that cannot be read. */
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

/** Where a page begins, empty for the first one; undefined for a query that holds more than that and a number, or could be read in two ways. */
function plainPlace(query: string): string | undefined {
  const parameters = new URLSearchParams(query)
  const names = [...parameters.keys()]
  const isPlain = names.every((name) => name === 'n' || name === 'last') && new Set(names).size === names.length
  return isPlain && !query.includes(';') ? (parameters.get('last') ?? '') : undefined
}
