/** CPU time of this thread so far, in microseconds; time in which it waited for a processor does not count. */
export function computed(): number {
  const { user, system } = process.threadCpuUsage()
  return user + system
}
