import { setFlagsFromString } from 'node:v8'

/**
 * Makes V8 begin a full collection later: at most of its limit, and not as soon as less than the size of its young generation is left.
 *
 * Bytes of buffers count towards that limit, and a body that streams makes hundreds of MB of them a second. As soon as other load has made the
 * young generation grow to its 16 MB, a heap of our size is marked as a whole after every 8 MB of a body, which costs more than the
 * body (docs/performance.md). Both flags are read each time that V8 decides, so that they may be set while it runs, which it does without
 * being started anew with options that `sallyport` would have to be told by whoever starts it.
 */
export function collectLate(): void {
  setFlagsFromString('--incremental-marking-soft-trigger=80')
  setFlagsFromString('--incremental-marking-hard-trigger=90')
}
