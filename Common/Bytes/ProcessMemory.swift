import Foundation

/// How much memory this process may have.
package enum ProcessMemory {
    /// Bytes: the least of the machine's memory, the limits of the control groups that the process is in, and its own
    /// (`ulimit -v`); 0 where none of them can be read.
    package static var limit: Int64 {
        var limits: [Int64] = []
        let (pages, size) = (sysconf(Int32(_SC_PHYS_PAGES)), sysconf(Int32(_SC_PAGESIZE)))
        if pages > 0, size > 0 { limits.append(Int64(pages) * Int64(size)) }
        for resource in [RLIMIT_AS, RLIMIT_DATA] {
            var limit = rlimit()
            if getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0, limit.rlim_cur < UInt64(Int64.max) {
                limits.append(Int64(limit.rlim_cur))
            }
        }
        let groups = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
        for file in limitFiles(groups) {
            if let text = try? String(contentsOfFile: file, encoding: .utf8),
                let bytes = Int64(text.trimmingCharacters(in: .whitespacesAndNewlines)), bytes > 0
            {
                limits.append(bytes)
            }
        }
        return limits.min() ?? 0
    }

    /// The files that limit a process's control groups and those that these are part of, by both versions of control
    /// groups.
    ///
    /// - Parameter groups: the content of `/proc/self/cgroup`.
    package static func limitFiles(_ groups: String) -> [String] {
        groups.split(separator: "\n").flatMap { line -> [String] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3 else { return [] }
            let isSecond = fields[0] == "0" && fields[1].isEmpty
            guard isSecond || fields[1].split(separator: ",").contains("memory") else { return [] }
            let parts = fields[2].split(separator: "/").map(String.init)
            // A group outside of what this process sees has no files here.
            guard !parts.contains("..") else { return [] }
            let root = isSecond ? ["/sys/fs/cgroup"] : ["/sys/fs/cgroup/memory"]
            return (0...parts.count).map { count in
                (root + parts.prefix(count) + [isSecond ? "memory.max" : "memory.limit_in_bytes"])
                    .joined(separator: "/")
            }
        }
    }
}
