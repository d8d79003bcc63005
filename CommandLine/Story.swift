import ArgumentParser
import Foundation
import RestInterface

/// `beamline story`.
struct Story: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists what brought a job, a chunk or a worker into its state.",
        discussion: """
            A chunk's number is that of its task, which errors name. The whole story of a chunk is kept until its \
            file is complete, then only
            its failures.

            Examples:
              beamline story job 1
              beamline story chunk 42
            """)

    enum Subject: String, ExpressibleByArgument, CaseIterable { case job, chunk, worker }

    @Argument(help: "job, chunk or worker.")
    var subject: Subject

    @Argument(help: "Its number.")
    var id: Int64

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await options.withClient { client in
            let data = try await client.data("GET", RestPath.story(subject.rawValue, id))
            if json { return print(String(decoding: data, as: UTF8.self)) }
            let format = ISO8601DateFormatter()
            for line in try client.decode([StoryLine].self, from: data) {
                let time =
                    line.at > 0
                    ? format.string(from: Date(timeIntervalSince1970: line.at)) : String(repeating: " ", count: 20)
                print("\(time)  \(line.text)")
            }
        }
    }
}
