/** Two containers on one volume: the embedded server of one is guarded from the other, whose process ids mean nothing here. */
import { spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { embeddedScene, firstReport, kill, query, type Child } from "./scene.ts";

const scene = embeddedScene();

/** A container as far as process ids go; --kill-child ends all of it with its first process. */
const PID_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
const OWN_IPC = [...PID_NAMESPACE, "--ipc"];
const permitted = spawnSync("unshare", [...OWN_IPC.slice(1), "true"]).status === 0;

const contain = (namespaces: readonly string[], waitMs?: number) =>
  firstReport(scene.spawnChild(namespaces, waitMs)) as Promise<Child>;

/** Host-side ids of the processes directly below `pid`. */
const childrenOf = async (pid: number): Promise<number[]> =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ").map(Number);

/** The first process in the container, which `unshare` waits for. */
async function firstProcess(container: ChildProcess): Promise<number> {
  const [first = 0] = await childrenOf(container.pid ?? 0);
  return first;
}

const pidFile = async () => await readFile(join(await scene.cluster(), "postmaster.pid"), "utf8");

describe.skipIf(!permitted)("two containers on one volume (needs `unshare --pid --ipc`)", () => {
  for (const [name, namespaces] of [
    ["PID and IPC namespaces", OWN_IPC],
    ["a PID namespace and a shared IPC namespace", PID_NAMESPACE],
  ] as const) {
    test(`a second Tartan in ${name} of its own is refused, and the first's server and postmaster.pid stay`, async () => {
      const first = await contain(namespaces);
      const before = await pidFile();
      const second = await contain(namespaces, 500);
      expect(second.report).toMatchObject({ code: "data_dir_in_use" });
      expect(second.report["message"]).toMatch(/in use by another Tartan, process 1 on host \S+, in another container/);
      expect(await pidFile()).toBe(before);
      expect(await query(String(first.report["url"]), "select 1 as one")).toEqual([{ one: 1 }]);
    });
  }

  test("a second Tartan waits for one that is being stopped, and finds all its data in a cluster that needs no repair", async () => {
    const first = await contain(OWN_IPC);
    await query(String(first.report["url"]), "create table if not exists handed_over as select 42 as answer");
    const recoveries = await scene.recoveries();
    const coming = contain(OWN_IPC, 60_000);
    process.kill(await firstProcess(first.process), "SIGTERM");
    const second = await coming;
    expect(await query(String(second.report["url"]), "select answer from handed_over")).toEqual([{ answer: 42 }]);
    expect(await scene.recoveries()).toBe(recoveries);
  });

  test("after a container was killed with all its processes, the next one gets its volume", async () => {
    const first = await contain(OWN_IPC);
    await query(String(first.report["url"]), "create table if not exists survived as select 42 as answer");
    await kill(first.process, "SIGKILL");
    const second = await contain(OWN_IPC, 30_000);
    expect(await query(String(second.report["url"]), "select answer from survived")).toEqual([{ answer: 42 }]);
  });

  test("a Postgres that outlives its killed Tartan in another container keeps its files, and a second one is refused", async () => {
    // A shell is the container's first process, so that the container outlives Tartan.
    const first = await contain([...OWN_IPC, "sh", "-c", '"$@"; sleep 60', "sh"]);
    const shell = await firstProcess(first.process);
    const [tartan = 0] = await childrenOf(shell);
    const before = await pidFile();
    process.kill(tartan, "SIGKILL");
    const second = await contain(OWN_IPC, 1_000);
    expect(second.report).toMatchObject({ code: "data_dir_in_use" });
    expect(second.report["message"]).toContain("a Postgres that cannot be seen from here");
    expect(await pidFile()).toBe(before);
    expect(await query(String(first.report["url"]), "select 1 as one")).toEqual([{ one: 1 }]);
    await kill(first.process, "SIGKILL");
    const third = await contain(OWN_IPC, 30_000);
    expect(await query(String(third.report["url"]), "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("of four containers that start at once on an empty volume, one gets it and the others are refused", async () => {
    scene.startAfresh();
    const all = await Promise.all(Array.from({ length: 4 }, () => contain(OWN_IPC, 4_000)));
    expect(all.filter(({ report }) => "url" in report)).toHaveLength(1);
    expect(all.filter(({ report }) => report["code"] === "data_dir_in_use")).toHaveLength(3);
    const [owner] = all.filter(({ report }) => "url" in report);
    const exited = once(owner?.process as ChildProcess, "exit");
    process.kill(await firstProcess(owner?.process as ChildProcess), "SIGTERM");
    expect(await exited).toEqual([0, null]);
  });
});

/** What Docker gives root: it may not look at the processes of other users. */
const UNTRACED = ["setpriv", "--bounding-set=-sys_ptrace"];
const mayDropRights =
  process.getuid?.() === 0 && spawnSync(UNTRACED[0] ?? "", [...UNTRACED.slice(1), "true"]).status === 0;

describe.skipIf(!mayDropRights)("root in a container (needs root and `setpriv`)", () => {
  test("root in a container starts and stops its server without CAP_SYS_PTRACE and without `ps`", async () => {
    const programs = join(scene.root, "programs");
    await mkdir(programs);
    await symlink("/usr/bin/id", join(programs, "id"));
    const child = await firstReport(scene.spawnChild([...UNTRACED, "env", `PATH=${programs}`]));
    expect(await query(String(child.report["url"]), "select 1 as one")).toEqual([{ one: 1 }]);
    await kill(child.process, "SIGTERM");
    expect(await scene.postmaster()).toBeNull();
  });

  test("root in a container takes over a killed Tartan's server without CAP_SYS_PTRACE and without `ps`", async () => {
    const before = await scene.startChild();
    const server = await scene.postmaster();
    await kill(before.process, "SIGKILL");
    const programs = join(scene.root, "programs");
    const child = await firstReport(scene.spawnChild([...UNTRACED, "env", `PATH=${programs}`]));
    expect(child.report["url"]).toBe(before.report["url"]);
    expect(await scene.postmaster()).toEqual(server);
  });
});
