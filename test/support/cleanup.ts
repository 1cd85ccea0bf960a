/** What must be undone when the test file ends. Hooks can only be registered before the tests run; what they undo may come later. */
import { afterAll } from '@jest/globals'

const steps: (() => unknown)[] = []

afterAll(async () => {
  await Promise.all(steps.map((step) => step()))
})

export function whenFileEnds(step: () => unknown): void {
  steps.push(step)
}
