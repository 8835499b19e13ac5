import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { setTimeout } from 'node:timers/promises'

const run = promisify(execFile)

export type Account = { uid: number; gid: number }

const NAME = 'postgres'

/** As whom Postgres runs: it refuses root, so root lends it an account. Others run it themselves. */
export const serverAccount = async (): Promise<Account | undefined> => {
  if (process.getuid?.() !== 0) return undefined
  return (await lookUp()) ?? (await create())
}

/** `id` rather than /etc/passwd: it also knows the accounts of a directory service. */
const lookUp = async (): Promise<Account | undefined> => {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', NAME]), run('id', ['-g', NAME])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return undefined
  }
}

const create = async (): Promise<Account> => {
  console.error(`Postgres refuses to run as root: creating the system user ${NAME} for it`)
  let cause: unknown
  try {
    await run('groupadd', ['--system', '--force', NAME])
    await run('useradd', ['--system', '--gid', NAME, '--shell', '/usr/sbin/nologin', NAME])
  } catch (error) {
    cause = error
    // Most likely another command of ours is creating it and holds the lock on /etc/passwd.
    await setTimeout(1_000)
  }
  const account = await lookUp()
  if (account) return account
  throw new Error(
    `There is no user ${NAME} and it could not be created: create it, run as a normal user, ` +
      'or set DATABASE_URL',
    { cause },
  )
}

/** Whether the account can get at a path. The kernel is asked, for it also reads access lists. */
export const reaches = (account: Account, path: string): Promise<boolean> =>
  run('test', ['-x', path], { ...account, cwd: '/' }).then(
    () => true,
    () => false,
  )
