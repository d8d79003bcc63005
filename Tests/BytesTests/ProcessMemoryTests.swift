import Bytes
import Testing

@Suite struct ProcessMemoryTests {
    @Test func bothVersionsOfControlGroupsLimit() {
        #expect(
            ProcessMemory.limitFiles("4:cpu,memory:/a\n2:cpu:/b\n0::/x/y\n") == [
                "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/x/memory.max", "/sys/fs/cgroup/x/y/memory.max",
            ])
        #expect(ProcessMemory.limitFiles("0::/../../x\nnonsense\n0::/").last == "/sys/fs/cgroup/memory.max")
        #expect(ProcessMemory.limitFiles("0::/../x") == [])
        #expect(ProcessMemory.limit > 0)
    }
}
