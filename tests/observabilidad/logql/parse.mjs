// Reads a JSON list of LogQL queries on standard input; prints, per query, where it does not parse.
import { parser } from "@grafana/lezer-logql";

let input = "";
for await (const chunk of process.stdin) input += chunk;
const faults = JSON.parse(input).map((query) => {
  const found = [];
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) found.push([node.from, node.to]);
    },
  });
  return found;
});
process.stdout.write(JSON.stringify(faults));
