/** Charts as SVG. Each has a text or a table with its numbers, for screen readers. */
import { html, type Html } from './html.ts'
import type { Hour } from './today_figures.ts'

type Bar = { label: string; value: number }
type Texts = { missed: string; answered: string; hour: string; asTable: string }

const WIDTH = 360
const HEIGHT = 160
const BELOW = 20
const BESIDE = 36

/** The top of the axis: the smallest of 4, 6, 10, 20, 40, 60, 100, ... that is at least `most`. */
export const axisTop = (most: number): number => {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)))
  const step = [1, 2, 4, 6, 10].find(times => times * power >= most) ?? 10
  return Math.max(4, step * power)
}

const dataTable = (id: string, texts: Texts, head: string[], rows: (string | number)[][]): Html =>
  html`<details id="${id}">
    <summary>${texts.asTable}</summary>
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

/** Missed calls stacked on answered ones, for each hour of the day. Time runs from left to right in both languages. */
export const hoursChart = (id: string, title: string, hours: Hour[], texts: Texts): Html => {
  const top = axisTop(Math.max(...hours.map(({ missed, answered }) => missed + answered)))
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
      <li class="missed">${texts.missed}</li>
      <li class="answered">${texts.answered}</li>
    </ul>
    <svg
      class="chart"
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
    ${dataTable(
      id,
      texts,
      [texts.hour, texts.missed, texts.answered],
      hours
        .filter(({ missed, answered }) => missed + answered > 0)
        .map(({ hour, missed, answered }) => [`${hour}:00`, missed, answered]),
    )}
  </figure>`
}

/** Each bar is a share of the first one. */
export const funnelChart = (title: string, bars: Bar[]): Html => {
  const most = Math.max(1, bars[0]?.value ?? 0)
  const share = (value: number) => `${Math.round((100 * value) / most)}%`
  return html`<figure class="card">
    <h2>${title}</h2>
    <ol class="funnel">
      ${bars.map(
        ({ label, value }) =>
          html`<li>
            <span>${label}</span> <strong>${value}</strong> <small dir="ltr">${share(value)}</small>
            <svg class="chart" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
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
