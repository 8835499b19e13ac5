// Before `npm ci` and without the devDependencies, the scripts run with the Node of the machine. It must be able to run
// TypeScript. This file is CommonJS in an old dialect, so that an old Node can read it.
const { existsSync } = require('node:fs')
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18) || (major === 23 && minor < 6)) {
  console.error(
    existsSync('node_modules')
      ? `Ringback needs Node 24, or Node 22 from 22.18 on. This is Node ${process.versions.node}.`
      : 'Run npm ci first: it installs all packages, and the Node that Ringback needs.',
  )
  process.exit(1)
}
