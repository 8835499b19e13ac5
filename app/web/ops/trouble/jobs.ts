import { type FailedJob, failedJobs } from '../../../worker/failed_jobs.ts'
import { html } from '../html.ts'
import { carefulForm, deedForm } from '../deed_form.ts'
import { when } from '../format.ts'
import { table } from '../table.ts'
import { troubleWords } from '../words/trouble.ts'
import { counted, SHOWN, type ShowSection } from './section.ts'

/** Jobs that were tried to the end. A failure of the program, and so the operator's affair and nobody else's. */
export const deadJobsOf: ShowSection = async (trx, visit) => {
  const { jobs: words, ...common } = troubleWords[visit.language]
  const { rows, count, more } = counted(await failedJobs(trx, SHOWN + 1))
  const warnings: Record<string, string> = words.warnings
  const byTask = Map.groupBy(rows, ({ task }) => task)

  const deedsOf = ({ id, task, key }: FailedJob) =>
    html`${deedForm(visit, { path: `/ops/trouble/jobs/${id}/retry`, label: words.retry, about: key })}
    ${
      task !== 'call_log' &&
      carefulForm(visit, {
        id: `discard-job-${id}`,
        open: words.discard,
        warning: warnings[task] ?? words.warnings.otherwise,
        path: `/ops/trouble/jobs/${id}/discard`,
        label: words.discardNow,
        about: key,
      })
    }`
  return {
    id: 'jobs',
    title: words.title,
    help: words.help,
    count,
    more,
    body: html`${table(rows, [
      [words.job, ({ key }) => html`<code>${key}</code>`],
      [
        words.error,
        ({ lastError }) => html`<bdi>${lastError?.slice(0, 500) ?? words.noError}</bdi>`,
      ],
      [words.died, ({ diedAt }) => when(diedAt, visit.language)],
      [common.whatNow, deedsOf],
    ])}
    ${[...byTask]
      .filter(([, jobs]) => jobs.length > 1)
      .map(
        ([task, jobs]) =>
          html`<div class="row">
            <code>${task}</code>
            ${deedForm(visit, {
              path: '/ops/trouble/jobs/retry',
              label: words.retryAll(more ? null : jobs.length),
              fields: { task },
              about: task,
            })}
          </div>`,
      )}`,
  }
}
