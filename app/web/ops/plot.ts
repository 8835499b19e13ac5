/** Pictures of numbers, drawn here as SVG. Each says in words what it shows, and has its numbers in a table. */
import { html, type Html } from './html.ts'
import type { Hour } from './today_figures.ts'

type Bar = { label: string; value: number }
type Words = { missed: string; answered: string; hour: string; asTable: string }

const WIDTH = 360
const HEIGHT = 160
const BELOW = 20
const BESIDE = 36

/** A round number that the highest bar fits under, and whose half is whole: 4, 6, 10, 20, 40 ... */
export const roundTop = (most: number): number => {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)))
  const step = [1, 2, 4, 6, 10].find(times => times * power >= most) ?? 10
  return Math.max(4, step * power)
}

const table = (id: string, words: Words, head: string[], rows: (string | number)[][]): Html =>
  html`<details id="${id}">
    <summary>${words.asTable}</summary>
    <table>
      <thead>
        <tr>
          ${head.map(name => html`<th>${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          cells =>
            html`<tr>
              ${cells.map(cell => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </details>`

/** Missed calls upon answered ones, a bar for each hour of the day. Time runs from left to right in any language. */
export const hoursPlot = (id: string, title: string, hours: Hour[], words: Words): Html => {
  const top = roundTop(Math.max(...hours.map(({ missed, answered }) => missed + answered)))
  const y = (value: number) => (HEIGHT - BELOW) * (1 - value / top)
  const step = (WIDTH - BESIDE) / hours.length
  const bar = (kind: 'missed' | 'answered', hour: Hour) => {
    const below = kind === 'missed' ? hour.answered : 0
    const size = HEIGHT - BELOW - y(hour[kind])
    return (
      hour[kind] > 0 &&
      html`<rect
        class="${kind}"
        x="${(BESIDE + hour.hour * step + 1).toFixed(1)}"
        y="${(y(below) - size).toFixed(1)}"
        width="${(step - 2).toFixed(1)}"
        height="${size.toFixed(1)}"
        rx="2"
      />`
    )
  }
  const line = (value: number) => html`
    <line class="grid" x1="${BESIDE}" x2="${WIDTH}" y1="${y(value)}" y2="${y(value)}" />
    <text x="${BESIDE - 6}" y="${y(value) + 4}" text-anchor="end">${value}</text>
  `
  return html`<figure class="card">
    <h2>${title}</h2>
    <ul class="legend">
      <li class="missed">${words.missed}</li>
      <li class="answered">${words.answered}</li>
    </ul>
    <svg
      class="plot"
      viewBox="0 -8 ${WIDTH} ${HEIGHT + 8}"
      direction="ltr"
      role="img"
      aria-label="${title}"
    >
      ${[top, top / 2, 0].map(line)}
      ${hours.map(hour => [bar('answered', hour), bar('missed', hour)])}
      ${hours
        .filter(({ hour }) => hour % 3 === 0)
        .map(
          ({ hour }) =>
            html`<text
              x="${BESIDE + hour * step + step / 2}"
              y="${HEIGHT - 4}"
              text-anchor="middle"
            >
              ${String(hour).padStart(2, '0')}
            </text>`,
        )}
    </svg>
    ${table(
      id,
      words,
      [words.hour, words.missed, words.answered],
      hours
        .filter(({ missed, answered }) => missed + answered > 0)
        .map(({ hour, missed, answered }) => [`${hour}:00`, missed, answered]),
    )}
  </figure>`
}

/** How many came how far: each bar is a share of the first. A list, so that whoever cannot see it hears it. */
export const funnelPlot = (title: string, bars: Bar[]): Html => {
  const most = Math.max(1, bars[0]?.value ?? 0)
  const share = (value: number) => `${Math.round((100 * value) / most)}%`
  return html`<figure class="card">
    <h2>${title}</h2>
    <ol class="funnel">
      ${bars.map(
        ({ label, value }) =>
          html`<li>
            <span>${label}</span> <strong>${value}</strong> <small dir="ltr">${share(value)}</small>
            <svg class="plot" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
              <rect class="rest" width="100" height="4" rx="1" />
              <rect
                class="answered"
                width="${((100 * value) / most).toFixed(1)}"
                height="4"
                rx="1"
              />
            </svg>
          </li>`,
      )}
    </ol>
  </figure>`
}
