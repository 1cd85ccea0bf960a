import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { createLog, type LogLevel } from '../../../src/log/log.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { waitFor } from '../../support/wait.ts'

function collecting(level: LogLevel = 'info') {
  let written = ''
  const log = createLog({
    level,
    destination: {
      write: (lines) => {
        written += lines
      },
    },
  })
  return { log, lines: () => parsed(written), text: () => written }
}

function parsed(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

describe('the log', () => {
  test('writes one JSON line with level, time and message, and none of the machine’s names', () => {
    const { log, lines } = collecting()
    log.child({ listener: ':8443' }).warn({ file: 'crl.pem' }, 'kept the old list')
    expect(lines()).toEqual([
      {
        level: 'warn',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        listener: ':8443',
        file: 'crl.pem',
        msg: 'kept the old list',
      },
    ])
  })

  test('writes nothing below its level', () => {
    const { log, lines } = collecting('warn')
    log.info({}, 'no')
    log.error({}, 'yes')
    expect(lines().map(({ msg }) => msg)).toEqual(['yes'])
  })

  test('an error is written with its causes, but with no other property, as some hold keys and certificates', () => {
    const { log, lines, text } = collecting()
    const cause = Object.assign(new Error('inner'), { code: 'ECONNRESET', pfx: 'SECRET' })
    log.error({ err: Object.assign(new TypeError('outer', { cause }), { cert: { raw: 'SECRET' } }) }, 'failed')
    expect(lines()[0]?.err).toMatchObject({
      type: 'TypeError',
      message: 'outer',
      cause: { type: 'Error', message: 'inner', code: 'ECONNRESET' },
    })
    expect(text()).not.toContain('SECRET')
  })

  test('causes that go round in circles end', () => {
    const { log, lines } = collecting()
    const error = new Error('round')
    error.cause = error
    log.error({ err: error }, 'failed')
    expect(lines()).toHaveLength(1)
  })

  test('a failed handshake has its own line, and what the peer sent cannot begin another', () => {
    const { log, lines, text } = collecting()
    log.handshakeFailed({
      remote_addr: '192.0.2.1',
      remote_port: 4,
      server_name: 'a\n{"level":"fatal"}\u0085\u2028\x9b',
      reason: 'no shared cipher',
      code: 'ERR_SSL_NO_SHARED_CIPHER',
    })
    expect(lines()[0]).toMatchObject({
      msg: 'handshake failed',
      remote_addr: '192.0.2.1',
      server_name: 'a\n{"level":"fatal"}\u0085\u2028\x9b',
      reason: 'no shared cipher',
      code: 'ERR_SSL_NO_SHARED_CIPHER',
    })
    expect(text()).toMatch(/^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\n$/)
  })
})

const source = new URL('../../../src/log/log.ts', import.meta.url).href

const started = (script: string): string[] => [
  '--input-type=module',
  '--eval',
  `const { createLog } = await import(${JSON.stringify(source)}); const log = createLog({ level: 'info' }); ${script}`,
]

describe('standard output', () => {
  test('gets every line, also when the process exits at once', async () => {
    const script = "for (let i = 0; i < 3000; i++) log.info({ i }, 'line'); process.exit(3)"
    const failure = promisify(execFile)(process.execPath, started(script))
    const { code, stdout } = (await failure.catch((error: unknown) => error)) as { code: number; stdout: string }
    expect(code).toBe(3)
    expect(parsed(stdout).map(({ i }) => i)).toEqual(Array.from({ length: 3000 }, (_, i) => i))
  })

  test('gets the last lines before a crash', async () => {
    const failure = promisify(execFile)(process.execPath, started("log.info({}, 'last'); throw new Error('crash')"))
    const { stdout } = (await failure.catch((error: unknown) => error)) as { stdout: string }
    expect(parsed(stdout)).toMatchObject([{ msg: 'last' }])
  })

  test('gets a line soon while the process lives', async () => {
    const child = spawn(process.execPath, started("log.info({}, 'soon'); setInterval(() => {}, 1000)"))
    try {
      const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
      expect(parsed(chunk.toString())).toMatchObject([{ msg: 'soon' }])
    } finally {
      child.kill('SIGKILL')
    }
  })

  test('may go away: the process lives on', async () => {
    const script = `
      let n = 0
      const timer = setInterval(() => {
        log.info({ filler: 'x'.repeat(20000) }, 'line')
        if (++n === 20) { clearInterval(timer); process.stderr.write('alive') }
      }, 10)`
    const child = spawn(process.execPath, started(script))
    try {
      child.stdout.once('data', () => child.stdout.destroy())
      const [said] = (await once(child.stderr, 'data')) as [Buffer]
      expect(said.toString()).toBe('alive')
      expect(await once(child, 'exit')).toEqual([0, null])
    } finally {
      child.kill('SIGKILL')
    }
  })

  const MANY = "for (let i = 0; i < 1500; i++) log.info({ i, filler: 'x'.repeat(16000) }, 'line')"

  test('may not be read for a long time: what waits is bounded, and whole lines are lost, which is told', async () => {
    const child = spawn(
      process.execPath,
      started(`${MANY}; process.stderr.write('alive'); setInterval(() => {}, 1000)`),
    )
    try {
      child.stdout.pause()
      await once(child.stderr, 'data')
      let text = ''
      let end = ''
      child.stdout.setEncoding('utf8').on('data', (more: string) => {
        text += more
        end = (end + more).slice(-1000)
      })
      child.stdout.resume()
      await waitFor('the end of the lines', () => end.includes('log lines were lost') && end.endsWith('\n'))
      const lines = parsed(text)
      const kept = lines.filter(({ msg }) => msg === 'line').map(({ i }) => i)
      expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => i))
      expect(kept.length).toBeGreaterThan(900)
      expect(lines.at(-1)).toMatchObject({ level: 'warn', count: 1500 - kept.length })
    } finally {
      child.kill('SIGKILL')
    }
  })

  test.each(['process.exit(3)', 'await log.flush(); process.exit(3)', "log.fatal({}, 'last'); process.exit(3)"])(
    'may not be read at all: the process ends (%s)',
    async (end) => {
      const child = spawn(process.execPath, started(`${MANY}; ${end}`))
      try {
        child.stdout.pause()
        expect(await once(child, 'exit')).toEqual([3, null])
      } finally {
        child.kill('SIGKILL')
      }
    },
  )

  test.each(['process.exit(3)', 'await log.flush(); process.exit(3)'])(
    'may be a file on a full disk: the process goes on, and ends (%s)',
    async (end) => {
      const full = openSync('/dev/full', 'w')
      const script = `log.info({}, 'line'); setTimeout(async () => { ${end} }, 100)`
      const child = spawn(process.execPath, started(script), { stdio: ['ignore', full, 'inherit'] })
      try {
        expect(await once(child, 'exit')).toEqual([3, null])
      } finally {
        child.kill('SIGKILL')
        closeSync(full)
      }
    },
  )

  test('may be a file: each line is there, in its order', async () => {
    const file = join(temporaryFolder(), 'log')
    const descriptor = openSync(file, 'a')
    try {
      const child = spawn(process.execPath, started(`${MANY}; await log.flush(); process.exit()`), {
        stdio: ['ignore', descriptor, 'inherit'],
      })
      await once(child, 'exit')
      const lines = parsed(readFileSync(file, 'utf8'))
      expect(lines.slice(0, 900).map(({ i }) => i)).toEqual(Array.from({ length: 900 }, (_, i) => i))
    } finally {
      closeSync(descriptor)
    }
  })
})
