/** What holds the code of a line in. */
export const isolation = {
  floor: 'own user, mount, pid, ipc, uts, net namespaces; no seccomp, all capabilities of the namespace',
  bwrap: "all namespaces, no capabilities; no seccomp, the machine's root as root",
  crun: "mount, pid, ipc, uts, net namespaces, 3 capabilities; no overlay, no seccomp, the machine's root as root",
  runc: "mount, pid, ipc, uts, net namespaces, 3 capabilities, cgroups; no overlay, no seccomp, the machine's root as root",
  docker: "namespaces, Docker's capabilities, seccomp, cgroups; the machine's root as root",
  podman: "namespaces, Podman's capabilities, seccomp, cgroups; the machine's root as root",
  ours: "namespaces with an own user namespace, Docker's capabilities, seccomp, cgroups (as root)",
  extensionHost: 'no sandbox: a process of VS Code’s, its extension host',
} as const;
