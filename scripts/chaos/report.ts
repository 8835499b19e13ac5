/** Writes the figures of a run into docs/reliability.md: between the marks, and nothing else in that file. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { format, resolveConfig } from 'prettier'
import { FAILPOINTS } from '../../app/failpoints.ts'
import { type Ledger, lines, missedGoals } from './ledger.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

const BEGIN = '<!-- chaos:begin -->'
const END = '<!-- chaos:end -->'

const FRAME = `# Reliability

What was tried, on which machine, and what came of it.

${BEGIN}
${END}
`

/** @returns the text with what stands between the marks replaced; at the end, where there are no marks yet */
export const withBlock = (text: string, block: string): string => {
  const begin = text.indexOf(BEGIN)
  const end = text.indexOf(END)
  const whole = `${BEGIN}\n\n${block}\n\n${END}`
  if (begin === -1 || end < begin) return `${text.trimEnd()}\n\n${whole}\n`
  return `${text.slice(0, begin)}${whole}${text.slice(end + END.length)}`
}

export const writeReport = async (file: string, ledger: Ledger): Promise<void> => {
  const before = await readFile(file, 'utf8').catch(() => FRAME)
  const text = withBlock(before, block(ledger, await commit(), new Date()))
  const options = await resolveConfig(file)
  await writeFile(file, await format(text, { ...options, parser: 'markdown' }))
}

/** The commit, and whether anything was changed since. */
const commit = async (): Promise<string> => {
  try {
    const { stdout: head } = await run('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: ROOT })
    const { stdout: changes } = await run('git', ['status', '--porcelain', 'app', 'tasks', 'sql'], {
      cwd: ROOT,
    })
    return head.trim() + (changes.trim() ? ', with changes' : '')
  } catch {
    return 'unknown'
  }
}

export const block = (ledger: Ledger, commit: string, at: Date): string => {
  const { plan, counts, points } = ledger
  const problems = [...ledger.violations, ...missedGoals(ledger)]
  const [cpu] = cpus()
  const figures = [
    ['commit', commit],
    ['date', at.toISOString().slice(0, 10)],
    [
      'machine',
      `${cpus().length} x ${cpu?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GB`,
    ],
    ['Node, Postgres', `${process.versions.node}, ${ledger.postgres} (fsync on)`],
    ...lines(ledger),
  ]
  const command = `npm run chaos --${plan.long ? ' --long' : ''} --seed ${plan.seed}`
  return `## Under fire

Two copies of the program, as during a deploy, with ${plan.long ? 'the long run' : 'the short run'} of \`npm run chaos\`: calls
of four businesses come in, customers answer, every fifth call to WhatsApp fails or its answer is lost; meanwhile the
copies are killed at each of ${FAILPOINTS.length} named steps, and Postgres and the connections to it are killed, cut and
stalled. At the end everything is counted at both ends: what the exchange was told is compared with what is stored, and
what the fake WhatsApp took with what the messages say.

**${problems.length ? `${problems.length} promises were not kept.` : 'Every promise was kept.'}**

| | |
| --- | --- |
${figures.map(([name, figure]) => `| ${name} | ${figure} |`).join('\n')}

Kills by step: ${FAILPOINTS.map(point => `\`${point}\` ${points.get(point) ?? 0}`).join(', ')}.
${
  problems.length
    ? `\nNot kept:\n\n${problems
        .slice(0, 50)
        .map(text => `- ${text}`)
        .join('\n')}\n`
    : ''
}
${inTheEnd(counts.unknown)}

**How it is measured.** Acknowledged means that the exchange heard 200, or 400 for what is kept aside; it posts again until
it hears one of them. Sent twice means that the fake WhatsApp took two messages with the same id of ours, or that one
person got the same template twice from one business. The time until work goes on is taken where one fault comes at a
time: from the moment when the program and Postgres are both there (where the other copy lives on, from the kill itself)
until everything that waited at that moment and that nobody had claimed is done; what waits is looked at four times a
second. A claim is a message that a copy has committed itself to send; if it dies, the message is never sent by another.

**Again:** \`${command}\`. The seed repeats the traffic and the faults as far as timing allows.

**What this does not show.** One machine, loopback, and a WhatsApp and an exchange that are ours. A Postgres that is
restored after a disaster on a small managed plan may lose the last minute of commits, whatever we do; only the comparison
with Voicenter's call log finds what was in it. TLS to such a Postgres is not verified, and not tried here. \`unknown\` is
not zero: those messages may or may not have arrived, and are not sent again. And where WhatsApp answers with an error code
it is taken at its word: a message that it took all the same goes out again, and is counted on a line of its own.`
}

const inTheEnd = (unknown: Ledger['counts']['unknown']): string => {
  if (unknown.length === 0) return 'Nothing was unknown in the end.'
  const kinds = Map.groupBy(unknown, ({ kind, reason }) => `${kind} (${reason ?? ''})`)
  const told = [...kinds].map(([name, { length }]) => `${length} ${name}`).toSorted()
  return `Unknown in the end, as \`select id, kind, reason from messages where state = 'unknown'\` lists them: ${told.join(', ')}.`
}
