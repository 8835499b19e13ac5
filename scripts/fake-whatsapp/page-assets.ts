/** The look of the inbox page. */
export const pageStyle = `
body { margin: 0; font: 15px/1.4 system-ui, sans-serif; background: #d9dbd5; color: #111 }
header { display: flex; flex-wrap: wrap; gap: 1em; align-items: center; padding: .5em 1em; background: #075e54 }
header h1 { margin: 0; font-size: 1.1em; color: #fff }
main { display: flex; flex-wrap: wrap; gap: 1em; padding: 1em; align-items: start }
section { width: 340px; background: #efeae2; border-radius: 18px; overflow: hidden; box-shadow: 0 1px 6px #0004 }
h2 { margin: 0; padding: .6em 1em; font-size: 1em; background: #128c7e; color: #fff }
h2 small { font-weight: normal; opacity: .8; unicode-bidi: isolate }
ol { list-style: none; margin: 0; padding: .6em; height: 380px; overflow-y: auto; display: flex; flex-direction: column; gap: .5em }
li { max-width: 85%; padding: .4em .7em; border-radius: 10px; background: #fff; align-self: flex-start }
li.person { background: #d9fdd3; align-self: flex-end }
li.owner { background: #fff6d6 }
li b { display: block; font-size: .8em; color: #128c7e }
li p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere }
li small { color: #667; font-size: .75em }
i { font-style: normal } i.read, i.played { color: #1f9bf0 } i.failed { color: #c00 }
form { display: flex; gap: .4em; padding: .25em .6em } li form { padding: .3em 0 0 }
li form button { width: 100%; color: #0277b5; background: #f4f9fc }
section > div { display: flex; padding-bottom: .4em }
input { flex: 1; min-width: 0; padding: .35em .5em; border: 1px solid #bbb; border-radius: 8px }
button { padding: .35em .7em; border: 1px solid #bbb; border-radius: 8px; background: #fff; cursor: pointer }
.nobody { color: #555 }
`

/**
 * Refreshes the phones every second and submits forms in place. What is being typed, and where the
 * cursor stands, survive: a page that reloads as a whole would swallow every half-written reply.
 */
export const pageScript = `
const main = document.querySelector('main')
let shown = ''
const down = () => main.querySelectorAll('ol').forEach(chat => { chat.scrollTop = chat.scrollHeight })
const refresh = async () => {
  const answer = await fetch('/page/phones').catch(() => undefined)
  if (!answer?.ok) return
  const text = await answer.text()
  if (text === shown) return
  shown = text
  const typed = [...main.querySelectorAll('input[name=text]')].map(at => [at.form.id, at.value])
  const active = document.activeElement?.name === 'text' ? document.activeElement : undefined
  const focus = active && main.contains(active) && [active.form.id, active.selectionStart, active.selectionEnd]
  main.innerHTML = text
  for (const [id, value] of typed) {
    const at = document.getElementById(id)?.elements.text
    if (at) at.value = value
  }
  const at = focus && document.getElementById(focus[0])?.elements.text
  if (at) { at.focus(); at.setSelectionRange(focus[1], focus[2]) }
  down()
}
addEventListener('submit', async event => {
  event.preventDefault()
  const form = event.target
  const body = new URLSearchParams(new FormData(form))
  const answer = await fetch(form.getAttribute('action'), { method: 'POST', body })
  if (!answer.ok) alert(await answer.text())
  else if (form.elements.text?.type !== 'hidden') form.reset()
  await refresh()
})
down()
setInterval(refresh, 1000)
`
