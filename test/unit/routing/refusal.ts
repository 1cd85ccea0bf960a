import { GatewayError } from '../../../src/errors.ts'

/** The code with which `attempt` refuses; undefined where it does not. What is no GatewayError is thrown on. */
export function refusalOf(attempt: () => unknown): string | undefined {
  try {
    attempt()
    return undefined
  } catch (caught) {
    if (caught instanceof GatewayError) return caught.code
    throw caught
  }
}
