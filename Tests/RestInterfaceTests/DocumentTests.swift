import Cluster
import Foundation
import RestInterface
import Testing

/// The documents of the REST interface: their keys stay as they are published, older and newer peers are understood.
@Suite struct DocumentTests {
    static let branch = SpecsDocument.Branch(
        name: "Jet_pt", kind: "jagged", values: 9, nonfinite: 1, min: -1.5, max: 7, mean: 2.25, deviation: 0.5,
        multiplicity: 4)
    static let specs = SpecsDocument(
        job: JobID(3), events: 10, parts: ["train": 6, "validation": 2, "test": 2],
        datasets: ["a": ["train": 6, "validation": 2, "test": 2]], branches: [branch],
        files: [.init(url: "root://s//f.root", logicalName: "/f.root", entries: 10)], sha256: "ab")
    static let mlaas4hep = MLaaS4HEPSpecs(
        events: 10, fkeys: ["run"], jkeys: ["Jet_pt"], jdim: ["Jet_pt": 4], minv: ["run": 1], maxv: ["run": 2],
        nans: ["run": 0])

    private func text(_ value: some Encodable) throws -> String {
        String(decoding: try RestJSON.encode(value), as: UTF8.self)
    }

    private func roundTrips<Value: Codable & Equatable>(_ value: Value) throws -> Bool {
        try RestJSON.decode(Value.self, from: RestJSON.encode(value)) == value
    }

    @Test func documentsComeBackAsTheyWere() throws {
        #expect(try roundTrips(Self.specs))
        #expect(try roundTrips(Self.mlaas4hep))
        #expect(try roundTrips(JobSubmission(description: "name: x", baseDirectory: nil)))
        #expect(try roundTrips(JobSubmission(description: "name: x", baseDirectory: "/home")))
        #expect(try roundTrips(SubmittedJob(id: JobID(7))))
        #expect(try roundTrips(StoryLine(at: 1.5, text: "stage list")))
        #expect(try roundTrips(RestFailure(error: "no", mistakes: [.init(line: 2, text: "x")])))
        #expect(try roundTrips(RestFailure(error: "no")))
    }

    /// What clients of other makes read: the keys and their order.
    @Test func theKeysAreThePublishedOnes() throws {
        let specs = #"""
            {"branches":[{"deviation":0.5,"kind":"jagged","max":7,"mean":2.25,"min":-1.5,"multiplicity":4,\#
            "name":"Jet_pt","nonfinite":1,"values":9}],"datasets":{"a":{"test":2,"train":6,"validation":2}},\#
            "events":10,"files":[{"entries":10,"logicalName":"/f.root","url":"root://s//f.root"}],"job":3,\#
            "parts":{"test":2,"train":6,"validation":2},"sha256":"ab"}
            """#
        #expect(try text(Self.specs) == specs)
        let mlaas4hep = #"""
            {"events":10,"fkeys":["run"],"jdim":{"Jet_pt":4},"jkeys":["Jet_pt"],"maxv":{"run":2},"minv":{"run":1},\#
            "nans":{"run":0}}
            """#
        #expect(try text(Self.mlaas4hep) == mlaas4hep)
        #expect(
            try text(JobSubmission(description: "d", baseDirectory: "/b"))
                == #"{"baseDirectory":"/b","description":"d"}"#)
        #expect(try text(SubmittedJob(id: JobID(7))) == #"{"id":7}"#)
        #expect(try text(StoryLine(at: 2, text: "t")) == #"{"at":2,"text":"t"}"#)
        #expect(
            try text(RestFailure(error: "e", mistakes: [.init(line: 1, text: "m")]))
                == #"{"error":"e","mistakes":[{"line":1,"text":"m"}]}"#)
    }

    @Test func aBundleHasNothingOfTheRun() throws {
        var document = Self.specs
        document.removeRunDetails()
        #expect(try !text(document).contains("\"job\""))
        #expect(document.files == [.init(url: "/f.root", logicalName: "/f.root", entries: 10)])
    }

    @Test func missingKeysHaveDefaultsAndUnknownOnesAreIgnored() throws {
        func decode<Value: Decodable>(_: Value.Type, _ text: String) throws -> Value {
            try RestJSON.decode(Value.self, from: Data(text.utf8))
        }
        let specs = try decode(
            SpecsDocument.self,
            #"{"events":3,"branches":[{"name":"x","quantiles":[1]}],"files":[{"url":"u"}],"new":{}}"#)
        #expect(specs.events == 3 && specs.job == nil && specs.parts.isEmpty && specs.sha256.isEmpty)
        #expect(specs.branches[0].name == "x" && specs.branches[0].values == 0)
        #expect(specs.files == [.init(url: "u", logicalName: "u", entries: 0)])
        #expect(try decode(MLaaS4HEPSpecs.self, "{}").jkeys.isEmpty)
        #expect(try decode(StoryLine.self, #"{"text":"t","by":"w"}"#) == StoryLine(at: 0, text: "t"))
        #expect(try decode(RestFailure.self, #"{"error":"e","code":4}"#) == RestFailure(error: "e"))
        #expect(try decode(JobSubmission.self, #"{"description":"d"}"#).baseDirectory == nil)
        // What has no sensible default is still asked for.
        #expect(throws: DecodingError.self) { try decode(JobSubmission.self, "{}") }
        #expect(throws: DecodingError.self) { try decode(SubmittedJob.self, "{}") }
    }

    @Test func pathsAreThePublishedOnes() {
        #expect(RestPath.jobs == "/api/v1/jobs" && RestPath.job(JobID(4)) == "/api/v1/jobs/4")
        #expect(RestPath.command(.cancel, job: JobID(4)) == "/api/v1/jobs/4/cancel")
        #expect(
            RestPath.command(.retry, job: JobID(4), withoutUnreadable: true)
                == "/api/v1/jobs/4/retry?withoutUnreadable=true")
        #expect(RestPath.specs(job: JobID(4), format: .mlaas4hep) == "/api/v1/jobs/4/specs?format=mlaas4hep")
        #expect(RestPath.story("chunk", 9) == "/api/v1/stories/chunk/9")
        #expect(RestPath.drain(worker: WorkerID(2)) == "/api/v1/workers/2/drain")
    }
}
