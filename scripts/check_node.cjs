// Without the devDependencies, the scripts run with the Node of the machine. It must be able to run TypeScript. This file is
// CommonJS in an old dialect, so that an old Node can read it.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18) || (major === 23 && minor < 6)) {
  console.error(
    `Ringback needs Node 24, or Node 22 from 22.18 on. This is Node ${process.versions.node}.`,
  )
  process.exit(1)
}
