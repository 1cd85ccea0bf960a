/** Milliseconds that this thread has computed for `work`; what others do meanwhile on a busy machine does not count. */
export function processorTime(work: () => void): number {
  const before = process.threadCpuUsage()
  work()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
