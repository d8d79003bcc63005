import ArgumentParser
import Cluster
import Foundation
import RestInterface

/// `beamline sites`.
struct SitesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sites", abstract: "Shows each site: state, bytes, rate, errors, latencies.",
        discussion: """
            A site is excluded after several failures in a row, tried again with one task after a while, and used in \
            full once that went well. Latencies
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
        try await options.withClient { client in
            repeat {
                let data = try await client.data("GET", RestPath.sites)
                if json {
                    print(String(decoding: data, as: UTF8.self))
                } else {
                    let table = SitesTable.text(try client.decode([SiteStatus].self, from: data))
                    // On a terminal the table is drawn over the one before.
                    if watch, isatty(STDOUT_FILENO) != 0 { print("\u{1B}[H\u{1B}[2J" + table) } else { print(table) }
                }
                fflush(nil)
                if watch { try await Task.sleep(for: .seconds(1)) }
            } while watch
        }
    }
}
