/** A thread that reads one file of users and hands the table of their rules over. */
import { parentPort, workerData } from 'node:worker_threads'
import { readUsers, type UsersWanted } from './read.ts'

parentPort?.postMessage(await readUsers(workerData as UsersWanted))
