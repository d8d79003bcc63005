import ArgumentParser
import Cluster
import Foundation

/// `beamline sites`: how each site does.
struct SitesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sites", abstract: "Shows each site: state, bytes, rate, errors, latencies.",
        discussion: """
            A site is excluded after several failures in a row, tried again with one task after a while, and used in full once that went well. Latencies
            are upper bounds of powers of two.

            Example:
              beamline sites --watch
            """)

    @Flag(help: "Show it again every second, until Ctrl-C.")
    var watch = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        repeat {
            let data = try await options.client.data("GET", "/api/v1/sites")
            if json {
                print(String(decoding: data, as: UTF8.self))
            } else {
                let table = SitesTable.text(try JSONDecoder().decode([SiteStatus].self, from: data))
                // On a terminal the table stays in its place.
                if watch, isatty(STDOUT_FILENO) != 0 { print("\u{1B}[H\u{1B}[2J" + table) } else { print(table) }
            }
            fflush(nil)
            if watch { try await Task.sleep(for: .seconds(1)) }
        } while watch
    }
}

enum SitesTable {
    static func text(_ sites: [SiteStatus]) -> String {
        guard !sites.isEmpty else { return "no site has been read yet" }
        let header = [
            "site", "state", "opens", "reads", "MB", "MB/s", "now", "most", "retries", "errors", "50 %", "95 %", "99 %",
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
                lines.append(
                    "\(site.site): a bearer token ends in \(Int(min(1e12, max(0, expires - Date().timeIntervalSince1970)))) s"
                )
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
