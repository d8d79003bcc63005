#!/usr/bin/env python3
"""Writes files with ROOT whose trees hold objects of classes that are compiled here, and what the objects were.

    root_classes.py DIRECTORY

For each file there is NAME.json, as root_files.py writes it; of joined.root and derived.root the test knows the values.
"""

import json
import os
import subprocess
import sys

import ROOT

HEADER = r"""
#pragma once
#include <vector>
#include "TObject.h"
#include "TTree.h"
// Objects that another member counts.
struct Hit { int id; float q; };
struct Loops {
  int n = 0;
  Hit *hits = nullptr; //[n]
  double z = 0;
};
// Its first numbers may look like the byte count and the version of an object.
struct Like {
  int first = 0;
  short second = 0;
  short third = 0;
  int fourth = 0;
};
// What a TClonesArray writes member by member, and what it writes object by object.
class Plain : public TObject {
public:
  float x = 0;
  std::vector<int> w;
  Plain() {}
  Plain(float x, int n) : x(x), w(n, int(x)) {}
  ClassDefOverride(Plain, 1)
};
class Forest : public TTree {
public:
  Forest() {}
  Forest(const char *name) : TTree(name, "") {}
  ClassDefOverride(Forest, 1)
};
#ifdef __ROOTCLING__
#pragma link C++ class Hit+;
#pragma link C++ class Loops+;
#pragma link C++ class Like+;
#pragma link C++ class Plain+;
#pragma link C++ class Forest+;
#endif
"""

SOURCE = r"""
#include "classes.h"
#include "TClonesArray.h"
#include "TFile.h"
#include "TLorentzVector.h"
void writeLoops(const char *path, int entries) {
  TFile file(path, "RECREATE");
  TTree tree("events", "");
  auto whole = new Loops, split = new Loops;
  auto like = new Like;
  tree.Branch("whole.", &whole, 32000, 0);
  tree.Branch("split.", &split, 32000, 99);
  tree.Branch("like", &like, 32000, 0);
  for (int i = 0; i < entries; ++i) {
    for (Loops *loops : {whole, split}) {
      loops->n = i % 4;
      delete[] loops->hits;
      loops->hits = loops->n ? new Hit[loops->n] : nullptr;
      for (int j = 0; j < loops->n; ++j) loops->hits[j] = {10 * i + j, 0.5f * i + j};
      loops->z = i * 0.25;
    }
    *like = {i % 2 ? 0x40000008 : i, short(i % 3), short(i), -i};
    tree.Fill();
  }
  tree.Write();
}
void writeClones(const char *path, int entries) {
  TFile file(path, "RECREATE");
  TTree tree("events", "");
  auto plain = new TClonesArray("Plain"), vectors = new TClonesArray("TLorentzVector");
  tree.Branch("plain", &plain, 32000, 0);
  tree.Branch("p4", &vectors, 32000, 0);
  for (int i = 0; i < entries; ++i) {
    plain->Clear("C");
    vectors->Clear("C");
    for (int j = 0; j < i % 4; ++j) {
      new ((*plain)[j]) Plain(10 * i + j, j);
      new ((*vectors)[j]) TLorentzVector(i, j, -i, 100 * i + j);
    }
    tree.Fill();
  }
  tree.Write();
}
// Leaves of one branch that a leaf of another counts.
void writeCounted(const char *path, int entries) {
  TFile file(path, "RECREATE");
  TTree tree("events", "");
  int n = 8;
  float values[16];
  tree.Branch("n", &n, "n/I");
  tree.Branch("two", values, "a[n]/F:b[n]/F");
  for (int i = 0; i < entries; ++i) {
    n = i % 5;
    for (int j = 0; j < 16; ++j) values[j] = 100 * i + j;
    tree.Fill();
  }
  tree.Write();
}
void writeDerived(const char *path, int entries) {
  TFile file(path, "RECREATE");
  auto tree = new Forest("events");
  int i = 0;
  tree->Branch("i", &i, "i/I");
  for (; i < entries; ++i) tree->Fill();
  tree->Write();
}
"""

VERSION = r"""
#pragma once
#include <vector>
#include "Rtypes.h"
struct Track {
  NUMBER x;
  float y;
  ClassDefNV(Track, VERSION)
};
"""

FILL = r"""
#include "TFile.h"
#include "TTree.h"
void write(const char *path, int entries) {
  TFile file(path, "RECREATE");
  TTree tree("events", "");
  std::vector<Track> tracks;
  tree.Branch("tracks", &tracks);
  for (int i = 0; i < entries; ++i) {
    tracks.assign(i % 4, Track{});
    for (size_t j = 0; j < tracks.size(); ++j) tracks[j] = {decltype(Track::x)(10 * i + j), float(i)};
    tree.Fill();
  }
  tree.Write();
}
"""


def version(number):
    """One version of a class in a process of its own: an int in the first, a double in the second."""
    folder = f"{directory}/version{number}"
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    with open("track.h", "w") as file:
        file.write(VERSION.replace("NUMBER", ["int", "double"][number - 1]).replace("VERSION", str(number)))
    ROOT.gInterpreter.GenerateDictionary("Track;vector<Track>", f"{folder}/track.h;vector")
    ROOT.gInterpreter.Declare(f'#include "{folder}/track.h"\n' + FILL)
    ROOT.write(f"{folder}/tracks.root", 20)


def expect(name, columns):
    def offsets(counts):
        sums = [0]
        for count in counts:
            sums.append(sums[-1] + count)
        return sums

    out = {}
    for key, (values, *counts) in columns.items():
        out[key] = {"values": list(map(float, values)), "offsets": [offsets(c) for c in counts]}
    with open(f"{directory}/{name}.json", "w") as file:
        json.dump({"tree": "events", "columns": out}, file)


directory = os.path.abspath(sys.argv[1])
ROOT.gROOT.SetBatch(True)
if len(sys.argv) > 2:
    version(int(sys.argv[2]))
    sys.exit(0)
os.makedirs(directory, exist_ok=True)
os.chdir(directory)
with open("classes.h", "w") as file:
    file.write(HEADER)
with open("classes.C", "w") as file:
    file.write(SOURCE)
if ROOT.gROOT.LoadMacro("classes.C+") != 0:
    sys.exit("the classes do not compile")

N = 30
entries = range(N)
counts = [i % 4 for i in entries]
items = [(i, j) for i in entries for j in range(i % 4)]
ROOT.writeLoops("loops.root", N)
expect(
    "loops",
    {
        key: value
        for name in ("whole..", "split./split.")
        for key, value in {
            f"{name}n": (counts,),
            f"{name}hits.id": ([10 * i + j for i, j in items], counts),
            f"{name}hits.q": ([0.5 * i + j for i, j in items], counts),
            f"{name}z": ([0.25 * i for i in entries],),
        }.items()
    }
    | {
        "like.first": ([0x40000008 if i % 2 else i for i in entries],),
        "like.second": ([i % 3 for i in entries],),
        "like.third": (list(entries),),
        "like.fourth": ([-i for i in entries],),
    },
)
ROOT.writeClones("clones.root", N)
expect(
    "clones",
    {
        "plain.x": ([10 * i + j for i, j in items], counts),
        "plain.w": ([10 * i + j for i, j in items for _ in range(j)], counts, [j for _, j in items]),
        "p4.fP.fX": ([i for i, _ in items], counts),
        "p4.fP.fY": ([j for _, j in items], counts),
        "p4.fE": ([100 * i + j for i, j in items], counts),
    },
)
ROOT.writeCounted("counted.root", N)
expect(
    "counted",
    {
        "n": ([i % 5 for i in entries],),
        "two.a": ([100 * i + j for i in entries for j in range(i % 5)], [i % 5 for i in entries]),
        # The leaves have no length yet where the branch is made: ROOT writes both from the branch's address.
        "two.b": ([100 * i + j for i in entries for j in range(i % 5)], [i % 5 for i in entries]),
    },
)
ROOT.writeDerived("derived.root", N)

for number in (1, 2):
    subprocess.run([sys.executable, os.path.abspath(__file__), directory, str(number)], check=True)
merger = ROOT.TFileMerger(False)
merger.OutputFile("joined.root")
for number in (1, 2):
    merger.AddFile(f"version{number}/tracks.root")
if not merger.Merge():
    sys.exit("the two versions cannot be joined")
