// Runs the tests of http-cache-tests in a folder against a cache, and writes what came of each to a file.
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const [, , folder, base, output] = process.argv
const from = path => import(pathToFileURL(`${folder}/package/${path}`).href)

const { runTests, getResults } = await from('client/runner.mjs')
const suites = (await from('tests/index.mjs')).default
const fetch = (await import(pathToFileURL(`${folder}/node_modules/node-fetch/lib/index.mjs`).href)).default

await runTests(suites, fetch, false, base)
const results = getResults()
const told = []
for (const suite of suites) {
  for (const test of suite.tests) {
    if (!(test.id in results)) continue
    const result = results[test.id]
    told.push({ id: test.id, kind: test.kind || 'required', pass: result === true, why: result === true ? '' : result.join(': ') })
  }
}
writeFileSync(output, JSON.stringify(told))
process.exit(0)
