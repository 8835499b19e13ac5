import type { Queued } from '../../../worker/failed_jobs.ts'
import { html, type Html } from '../html.ts'
import { span } from '../format.ts'
import type { Language } from '../language.ts'
import { table } from '../table.ts'
import { waitingWords } from '../words/waiting.ts'

/** The queue's own figures, for the operator. */
export const queueSection = (queue: Queued[], language: Language): Html => {
  const words = waitingWords[language].queue
  return html`<section id="queue">
    <h2>${words.title}</h2>
    <p class="quiet">${words.help}</p>
    ${queue.length === 0 && html`<p class="empty">${words.none}</p>`}
    ${
      queue.length > 0 &&
      table(queue, [
        [words.task, ({ task }) => html`<code>${task}</code>`],
        [words.oldest, ({ oldestDue }) => (oldestDue === null ? '–' : span(oldestDue, language))],
        [words.due, ({ due }) => due],
        [words.retrying, ({ retrying }) => retrying],
        [words.running, ({ running }) => running],
        [words.future, ({ future }) => future],
        [words.dead, ({ dead }) => (dead ? html`<a href="/ops/trouble#jobs">${dead}</a>` : 0)],
      ])
    }
  </section>`
}
