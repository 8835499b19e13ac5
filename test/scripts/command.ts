import { execFile } from 'node:child_process'

/** What a command finds: variables beside the test's own, and standard input. */
export type How = { env?: NodeJS.ProcessEnv; input?: string }

/** Runs `node scripts/<name>.ts` as a process of its own, on this test's database. */
export const run = (name: string, args: string[], { env = {}, input = '' }: How = {}) =>
  new Promise<{ status: number | null; stdout: string; stderr: string }>(resolve => {
    const child = execFile(
      process.execPath,
      [`scripts/${name}.ts`, ...args],
      { env: { ...process.env, ...env } },
      (_error, stdout, stderr) => resolve({ status: child.exitCode, stdout, stderr }),
    )
    // It may have ended without reading it.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
