/** Reads a process's metrics as Prometheus does. */

export interface Metrics {
  /** of all label values together */
  sum(name: string): number;
  /** 0 where it is not there */
  value(name: string, labels: Readonly<Record<string, string>>): number;
  /** the values of a label */
  labels(name: string, label: string): string[];
  /** each line of it, without its name */
  text(name: string): string;
}

interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

export async function metricsOf(url: string): Promise<Metrics> {
  const answer = await fetch(`${url}/metrics`);
  const samples = (await answer.text()).split("\n").flatMap(sampleOf);
  const of = (name: string): Sample[] => samples.filter((sample) => sample.name === name);
  return {
    sum: (name) => of(name).reduce((sum, { value }) => sum + value, 0),
    value: (name, labels) =>
      of(name).find((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
        ?.value ?? 0,
    labels: (name, label) => of(name).flatMap(({ labels }) => labels[label] ?? []),
    text: (name) =>
      of(name)
        .map(({ labels, value }) => `${Object.values(labels).join(" ")} ${value.toFixed(1)}`)
        .join(", "),
  };
}

function sampleOf(line: string): Sample[] {
  const [, name = "", labels = "", value = ""] = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
  if (name === "") return [];
  const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = "", is = ""]) => [label, is] as const);
  return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
}
