// Before `npm ci` and without the devDependencies, the scripts run with the Node of the machine. It must be able to run
// TypeScript. This file is CommonJS in an old dialect, so that an old Node can read it.
const { existsSync } = require('node:fs')
const { enableCompileCache } = require('node:module')
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18) || (major === 23 && minor < 6)) {
  console.error(
    existsSync('node_modules')
      ? `Ringback needs Node 24, or Node 22 from 22.18 on. This is Node ${process.versions.node}.`
      : 'Run npm ci first: it installs all packages, and the Node that Ringback needs.',
  )
  process.exit(1)
}
// Node keeps the compiled code here when a command ends, and the next one starts in a third less time. Not during `npm ci`, which
// another user may run. A folder that cannot be written, or NODE_COMPILE_CACHE for another one, is no error.
if (require.main !== module) enableCompileCache(`${__dirname}/../.data/compile-cache`)
