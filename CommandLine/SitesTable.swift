import Cluster
import Foundation

/// The sites' statuses as a table.
enum SitesTable {
    static func text(_ sites: [SiteStatus]) -> String {
        guard !sites.isEmpty else { return "no site has been read yet" }
        let header = [
            "site", "state", "opens", "reads", "MB", "MB/s", "now", "max", "retries", "errors", "50 %", "95 %", "99 %",
        ]
        let rows = sites.map { site in
            [
                site.site, site.excludedFor.map { "\(site.state.rawValue) \(Int($0) + 1) s" } ?? site.state.rawValue,
                "\(site.files)",
                "\(site.reads)",
                String(format: "%.1f", Double(site.bytes) / 1e6), String(format: "%.1f", site.megabytesPerSecond),
                "\(site.readsInFlight)",
                "\(site.maxReads)", "\(site.retries)", errors(site), latency(site.latency50), latency(site.latency95),
                latency(site.latency99),
            ]
        }
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        var lines = ([header] + rows).map { row in
            zip(row, widths).enumerated().map { index, cell in
                let fill = String(repeating: " ", count: cell.1 - cell.0.count)
                return index < 2 ? cell.0 + fill : fill + cell.0
            }.joined(separator: "  ")
        }
        for site in sites {
            if let fault = site.lastFault { lines.append("\(site.site): last error: \(fault)") }
            if site.longestWait > 5 {
                lines.append("\(site.site): a read has been under way for \(Int(site.longestWait)) s")
            }
            if site.abandonedBytes > 0 {
                lines.append("\(site.site): \(site.abandonedBytes) bytes in reads that were given up")
            }
            if let expires = site.tokenExpires {
                let left = Int(min(1e12, max(0, expires - Date().timeIntervalSince1970)))
                lines.append("\(site.site): a bearer token ends in \(left) s")
            }
            for warning in site.warnings { lines.append("\(site.site): \(warning)") }
        }
        return lines.joined(separator: "\n")
    }

    private static func errors(_ site: SiteStatus) -> String {
        let parts = site.faults.filter { $0.count > 0 }.map { "\($0.count) \($0.fault.rawValue)" }
        return parts.isEmpty ? "0" : parts.joined(separator: ", ")
    }

    private static func latency(_ seconds: Double?) -> String {
        guard let seconds else { return "-" }
        return seconds < 1 ? "\(Int((seconds * 1000).rounded())) ms" : String(format: "%.1f s", seconds)
    }
}
