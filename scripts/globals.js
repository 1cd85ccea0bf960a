// Node makes these two globals by getters, which run each time, several times for each request.
export { Buffer } from 'node:buffer'
export { performance } from 'node:perf_hooks'
