import { execFile } from 'node:child_process'

/** Variables besides the test's own, and standard input. */
export type Options = { env?: NodeJS.ProcessEnv; input?: string }

/** Runs `node scripts/<name>.ts` in a process of its own, on the test's database. */
export const run = (name: string, args: string[], { env = {}, input = '' }: Options = {}) =>
  new Promise<{ status: number | null; stdout: string; stderr: string }>(resolve => {
    const child = execFile(
      process.execPath,
      [`scripts/${name}.ts`, ...args],
      { env: { ...process.env, ...env } },
      (_error, stdout, stderr) => resolve({ status: child.exitCode, stdout, stderr }),
    )
    // The process may end without reading its input.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
