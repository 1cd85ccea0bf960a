/** Accounts for programs: a name, a generated secret, and an end. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { User } from '../types.ts'

export interface Robot {
  readonly user: User
  /** SHA-256 of the secret. A random secret needs no slow hash: it cannot be guessed. */
  readonly secretDigest: Buffer
  /** Milliseconds since the epoch; Infinity where it has no end. */
  readonly expiresAt: number
}

export interface Robots {
  /** The robot of that name unless it has expired; the name alone proves nothing. */
  find(name: string, now: number): Robot | undefined
  /** Whether the name is a robot's, even an expired one's: nobody else may log in with it. */
  has(name: string): boolean
}

export function createRobots(robots: readonly Robot[]): Robots {
  const byName = new Map(robots.map((robot) => [robot.user.name, robot]))
  return {
    find(name, now) {
      const robot = byName.get(name)
      return robot && robot.expiresAt > now ? robot : undefined
    },
    has: (name) => byName.has(name),
  }
}

export function secretMatches({ secretDigest }: Robot, secret: string): boolean {
  return timingSafeEqual(secretDigest, digestOfSecret(secret))
}

/** The proof that its secret gives. */
export function proofOfRobot({ secretDigest }: Robot): string {
  return secretDigest.toString('hex')
}

export function digestOfSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
