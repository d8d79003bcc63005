import Foundation

/// How much memory this process may have.
enum ProcessMemory {
    /// Bytes: the least of the machine's memory, the limits of the control groups that the process is in, and its own
    /// (`ulimit -v`); 0 where none of them can be read.
    static var limit: Int64 {
        var limits: [Int64] = []
        let (pages, size) = (sysconf(Int32(_SC_PHYS_PAGES)), sysconf(Int32(_SC_PAGESIZE)))
        if pages > 0, size > 0 { limits.append(Int64(pages) * Int64(size)) }
        for resource in [RLIMIT_AS, RLIMIT_DATA] {
            var limit = rlimit()
            if getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0, limit.rlim_cur < UInt64(Int64.max) {
                limits.append(Int64(limit.rlim_cur))
            }
        }
        return (limits + groupLimits).min() ?? 0
    }

    /// The limits of the process's control group (version 2) and of those that it is part of.
    private static var groupLimits: [Int64] {
        let text = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::") }) else { return [] }
        var path = URL(filePath: "/sys/fs/cgroup").appending(path: String(line.dropFirst(3)))
        var limits: [Int64] = []
        while path.path.hasPrefix("/sys/fs/cgroup") {
            let file = path.appending(path: "memory.max").path
            if let text = try? String(contentsOfFile: file, encoding: .utf8),
                let bytes = Int64(text.trimmingCharacters(in: .whitespacesAndNewlines))
            {
                limits.append(bytes)
            }
            path.deleteLastPathComponent()
        }
        return limits
    }
}
