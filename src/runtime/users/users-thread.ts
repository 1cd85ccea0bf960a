/** A thread that reads one file of users and hands the table of their rules over. */
import { parentPort, workerData } from 'node:worker_threads'
import { readUsers, type UsersWanted } from './read.ts'

const read = await readUsers(workerData as UsersWanted)
const { bytes, starts, slots, hashes } = read.table ?? {}
const arrays = [bytes, starts, slots, hashes].flatMap((array) => (array ? [array.buffer] : []))
parentPort?.postMessage(read, arrays)
