/** Transforms: what they yield, and that none can take more time, memory or output than it may, nor hold up another. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { TartanError } from "../../../src/errors.ts";
import {
  checkTransform,
  openTransforms,
  type Transformed,
  type Transforms,
} from "../../../src/relay/content/transform.ts";
import { childrenOf } from "../../support/children.ts";

/** Loops are ended after seconds of processor time, and a busy machine gives each process little of it. */
const CPU_TIME_MS = 120_000;

const EVENT = {
  id: "evt_1",
  type: "transactions.changed",
  item_id: "item-1",
  data: {
    note: `${"a".repeat(40)}!`,
    added: [
      { name: "Café 💶", amount: 10.5 },
      { name: "Bus", amount: 2.25 },
    ],
  },
};
const SOURCE = JSON.stringify(EVENT);

const shared = openTransforms();
afterAll(() => shared[Symbol.asyncDispose]());

const run = (expression: string, source = SOURCE, transforms: Transforms = shared): Promise<Transformed> =>
  transforms.run(expression, source);

const causeOf = (made: Transformed): string => ("cause" in made ? made.cause : "none");

test("a transform yields its result as JSON", async () => {
  expect(await run('{"item": item_id, "names": data.added.name, "total": $sum(data.added.amount)}')).toEqual({
    json: '{"item":"item-1","names":["Café 💶","Bus"],"total":12.75}',
  });
  expect(await run("data.added[amount > 5]")).toEqual({ json: '{"name":"Café 💶","amount":10.5}' });
  expect(await run("'text'")).toEqual({ json: '"text"' });
  expect(await run("null")).toEqual({ json: "null" });
  expect(await run("[]")).toEqual({ json: "[]" });
});

test("a transform yields the same bytes at any time and in any process", async () => {
  const expression =
    '{"k": $keys($), "s": $sort(data.added.name), "t": $toMillis("13:45", "[H01]:[m01]"), "f": $fromMillis(0)}';
  const once = await run(expression);
  expect(once).toMatchObject({ json: expect.stringContaining('"t":49500000') });
  await using others = openTransforms();
  expect(await run(expression, SOURCE, others)).toEqual(once);
  expect(await run(expression)).toEqual(once);
});

test("a transform reads numbers as doubles, so digits beyond their precision are lost", async () => {
  expect(await run("n", '{"n": 12345678901234567890}')).toEqual({ json: "12345678901234567000" });
  expect(await run("n", '{"n": 1.10}')).toEqual({ json: "1.1" });
});

describe("an expression whose result is nothing, or no JSON value, fails", () => {
  test.for([
    ["nothing", "selects nothing"],
    ["()", "selects nothing"],
    ["$sum", "holds a function"],
    ['{"a": [function($x){$x}]}', "holds a function"],
  ] as const)("%s is a failure with a reason", async ([expression, reason]) => {
    expect(await run(expression)).toEqual({ cause: "transform_error", message: expect.stringContaining(reason) });
  });
});

test("the failure of a transform names the error and its place, and no data of the event", async () => {
  const secret = JSON.stringify({ name: "Jane Doe", list: ["4111-1111"], n: 1 });
  const expressions = [
    "name + 1",
    "n + name",
    "$number(name)",
    "$error(name)",
    "$assert(false, name)",
    "$single(list, function($x){ $x = name })",
    "$toMillis(name)",
    "{ name: 1, $string(name): 2 }",
    "name()",
    "$lowercase(n, name)",
    "$sum(list)",
    "name ~> n",
    "$formatBase(n, name)",
    "list[0] > n",
    "[1..name]",
    "$encodeUrl('\ud800' & name)",
    "$formatNumber(n, name)",
    "$decodeUrl('%' & name)",
  ];
  for (const expression of expressions) {
    const made = await run(expression, secret);
    expect([expression, causeOf(made)]).toEqual([expression, "transform_error"]);
    expect(JSON.stringify(made)).not.toMatch(/Jane|Doe|4111/);
  }
  expect(await run("name + 1", secret)).toEqual({
    cause: "transform_error",
    message: "the left side of an operator must be a number (T2001), at character 6",
  });
});

describe("an expression that loops, recurses or allocates without end is stopped, and the next one runs", () => {
  const HOSTILE: [string, string, readonly string[]][] = [
    ["recursion without end", "($f := function($x){ $f($x) + 1 }; $f(1))", ["transform_error"]],
    ["a loop without end", "($f := function($x){ $f($x) }; $f(1))", ["transform_timeout"]],
    ["recursion of two", "($a := function($x){ $b($x) }; $b := function($x){ $a($x) }; $a(1))", ["transform_timeout"]],
    [
      "recursion through a list",
      "($f := function($x){ $map([1..9], $f) }; $f(1))",
      ["transform_error", "transform_timeout"],
    ],
    ["the fixed point", "($f := function($g){ $g($g) }; $f($f))", ["transform_timeout"]],
    ["doubling by $reduce", '$reduce([1..40], function($a, $b){ [$a, $a] }, "x")', ["transform_too_large"]],
    [
      "doubling without arrays",
      '$reduce([1..60], function($a, $b){ {"l": $a, "r": $a} }, "x")',
      ["transform_too_large"],
    ],
    ["a list of ten million", "[1..10000000]", ["transform_too_large"]],
    ["lists of lists", "$map([1..90000], function($v){ [1..90000] })", ["transform_too_large", "transform_timeout"]],
    ["a product of lists", "[1..9999].([1..9999].([1..9999]))", ["transform_too_large", "transform_timeout"]],
    ["a sort with a comparison that costs", "$sort([1..99999], function($l, $r){ $l < $r })", ["transform_timeout"]],
    ["a regular expression that backtracks", "$match(data.note, /^(a+)+$/)", ["transform_timeout"]],
    ["one in $replace", '$replace(data.note, /(a|aa)+$/, "")', ["transform_timeout"]],
    ["a text of 100 MB", '$pad("", 100000000)', ["transform_too_large"]],
    [
      "a text of 100 MB by doubling",
      '($d := function($s, $n){ $n = 0 ? $s : $d($s & $s, $n - 1) }; $d("0123456789", 23))',
      ["transform_too_large"],
    ],
    ["an object of many texts", '[1..300].{"text": $pad("", 1000)}', ["transform_too_large"]],
    ["a text that does not fit", '$pad("", 2000000000)', ["transform_too_large"]],
    [
      "a text made anew, larger than memory",
      '$uppercase($pad("", 300000000, "é"))',
      ["transform_too_large", "transform_timeout"],
    ],
    [
      "a text cut into more than memory",
      '$split($pad("", 200000000), "")',
      ["transform_too_large", "transform_timeout"],
    ],
    [
      "nesting that JSON cannot be written of",
      "$reduce([1..20000], function($a, $b){ {'a': $a} }, 1)",
      ["transform_too_large", "transform_timeout"],
    ],
  ];

  test.for(HOSTILE)("%s", async ([, expression, causes]) => {
    expect(causes).toContain(causeOf(await run(expression)));
    expect(await run("item_id")).toEqual({ json: '"item-1"' });
  });

  test("a result of 256 KiB of UTF-8 is accepted, and one byte more is refused", async () => {
    expect(causeOf(await run(`$pad("", ${256 * 1024 - 2})`))).toBe("none");
    expect(causeOf(await run(`$pad("", ${256 * 1024 - 1})`))).toBe("transform_too_large");
    expect(causeOf(await run(`$pad("", ${128 * 1024}, "é")`))).toBe("transform_too_large");
  });

  test(
    "a hostile expression does not use memory or time of this process",
    async () => {
      await using transforms = openTransforms();
      const before = process.memoryUsage().rss;
      for (let round = 0; round < 3; round += 1) {
        await Promise.all(HOSTILE.map(([, expression]) => run(`${expression} /* ${round} */`, SOURCE, transforms)));
      }
      expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
    },
    CPU_TIME_MS,
  );
});

test(
  "transforms that loop on every event do not starve others",
  async () => {
    await using transforms = openTransforms();
    const done: string[] = [];
    const note = async (name: string, expression: string) => {
      await run(expression, SOURCE, transforms);
      done.push(name);
    };
    const loops = Array.from({ length: 12 }, (_, n) => note(`loop ${n % 2}`, `$match(data.note, /^(a+)+${n % 2}$/)`));
    const good = Array.from({ length: 50 }, () => note("good", "item_id"));
    await Promise.all(good);
    // Two expressions loop and there are two processes, so the good one waits for one of them, and not for each event.
    const before = done.filter((name) => name !== "good").length;
    await Promise.all(loops);
    expect(before).toBeLessThan(6);
    expect(done.filter((name) => name === "good")).toHaveLength(50);
  },
  CPU_TIME_MS,
);

test(
  "an expression that loops occupies one process, and others run in the other process",
  async () => {
    await using transforms = openTransforms({ timeoutMs: 2000 });
    let looping = 0;
    const loops = Array.from({ length: 2 }, async () => {
      await run("$match(data.note, /^(a+)+$/)", SOURCE, transforms);
      looping += 1;
    });
    for (let n = 0; n < 50; n += 1) expect(causeOf(await run("item_id", SOURCE, transforms))).toBe("none");
    expect(looping).toBe(0);
    await Promise.all(loops);
  },
  CPU_TIME_MS,
);

test("disposing waits for running transforms, rejects waiting ones and leaves no process", async () => {
  const transforms = openTransforms();
  const made = Array.from({ length: 5 }, (_, n) => run(`${n}`, SOURCE, transforms));
  const settled = Promise.allSettled(made);
  await transforms[Symbol.asyncDispose]();
  const [first, second, ...waiting] = await settled;
  expect([first, second]).toMatchObject([{ value: { json: "0" } }, { value: { json: "1" } }]);
  expect(waiting).toMatchObject([1, 2, 3].map(() => ({ status: "rejected", reason: { code: "internal" } })));
  await expect(run("1", SOURCE, transforms)).rejects.toThrow(TartanError);
});

const onLinux = test.runIf(process.platform === "linux");

onLinux("what runs transforms is given nothing of the environment", async () => {
  const before = new Set(childrenOf(process.pid));
  await using transforms = openTransforms();
  await run("1", SOURCE, transforms);
  const started = childrenOf(process.pid).filter((pid) => !before.has(pid));
  expect(started).toHaveLength(1);
  expect(readFileSync(`/proc/${started[0]}/environ`, "utf8")).toMatch(/^TZ=UTC\0NODE_CHANNEL_FD=\d+\0[A-Z_=a-z\0]*$/);
});

test("an expression can read nothing but the event", async () => {
  const names = [
    "$process",
    "process",
    "$constructor",
    "constructor.constructor",
    "$keys(constructor)",
    "__proto__",
    "$$.toString",
  ];
  for (const name of names) expect([name, causeOf(await run(name))]).toEqual([name, "transform_error"]);
});

onLinux(
  "when the process that started it is killed, even one that is caught in a regular expression ends",
  async () => {
    const program = `
    import { openTransforms } from ${JSON.stringify(new URL("../../../src/relay/content/transform.ts", import.meta.url).href)};
    const transforms = openTransforms({ timeoutMs: 600000 });
    await transforms.run("1", "{}");
    void transforms.run("$match(note, /^(a+)+$/)", JSON.stringify({ note: "a".repeat(60) + "!" }));
    console.log("started");
  `;
    const parent = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(parent.stdout, "data");
    const children = childrenOf(parent.pid ?? 0);
    expect(children.length).toBeGreaterThan(0);
    parent.kill("SIGKILL");
    await expect.poll(() => children.filter(isRunning), { timeout: 20_000 }).toEqual([]);
  },
);

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("an expression is refused when its route is created", () => {
  const REFUSED = [
    ["", "empty"],
    ["  ", "empty"],
    ["data.[", "JSONata"],
    ["$now()", "$now"],
    ["{'a': [b.$millis()]}", "$millis"],
    ["($r := $random; $r())", "$random"],
    ["$shuffle(data)", "$shuffle"],
    ["data ~> $eval", "$eval"],
    ["function($x){ $map($x, function($y){ $eval($y) }) }", "$eval"],
    ["data[$now() > x]^(>amount)", "$now"],
    ["$ ~> | data | {'t': $millis()} |", "$millis"],
    ["a\0b", "stored"],
    [`"${"x".repeat(10_000)}"`, "10000"],
    ["(".repeat(9_000), "JSONata"],
  ] as const;

  test.for(REFUSED.map(([expression, reason]) => [expression.slice(0, 60), expression, reason] as const))(
    "%s",
    ([, expression, reason]) => {
      expect(() => checkTransform(expression)).toThrow(
        expect.objectContaining({ code: "invalid_request", fields: { transform: expect.stringContaining(reason) } }),
      );
    },
  );

  test("an expression that only looks like a refused one is accepted", () => {
    for (const expression of ["now", '"$now()"', "data.random", "$nowhere := 1", "eval"]) {
      expect(() => checkTransform(expression)).not.toThrow();
    }
  });

  test("a refused expression does not run either", async () => {
    for (const expression of [
      "$now()",
      "$millis()",
      "$random()",
      "$shuffle([1,2])",
      '$eval("1")',
      "($f := $now; $f())",
    ]) {
      expect(causeOf(await run(expression))).toBe("transform_error");
    }
  });
});
