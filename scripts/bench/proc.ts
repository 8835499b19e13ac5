/** What the kernel books for a process. Linux tells; elsewhere the columns stay empty. */
import { readdir, readFile } from 'node:fs/promises'

const TICKS_A_SECOND = 100

/** The numbers behind the name in /proc/<pid>/stat, from the state (field 3) on; null once it has ended. */
const stat = async (pid: number): Promise<string[] | null> => {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ')
}

const seconds = (fields: string[], ...which: number[]): number =>
  which.reduce((sum, n) => sum + Number(fields[n - 3]), 0) / TICKS_A_SECOND

/** CPU seconds of a process, its threads included. */
export const cpuSeconds = async (pid: number): Promise<number | null> => {
  const fields = await stat(pid)
  return fields && seconds(fields, 14, 15)
}

/** CPU seconds of a process and all its children, those that have ended included: a Postgres server. */
export const familyCpuSeconds = async (pid: number): Promise<number | null> => {
  const parent = await stat(pid)
  if (!parent) return null
  let sum = seconds(parent, 14, 15, 16, 17)
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const fields = await stat(Number(name))
    if (fields && Number(fields[1]) === pid) sum += seconds(fields, 14, 15, 16, 17)
  }
  return sum
}

/** Resident memory in MB, now. */
export const residentMb = async (pid: number): Promise<number | null> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]
  return kilobytes ? Number(kilobytes) / 1024 : null
}
