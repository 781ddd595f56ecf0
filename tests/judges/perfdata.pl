# Reads what a plug-in wrote, and lets Monitoring::Plugin read its performance data: all of it must be understood.
use strict;
use warnings;
use Monitoring::Plugin::Performance use_die => 1;

my $first = <STDIN>;
my ($text, $perfdata) = $first =~ /^([^|]*)\|(.*)$/ or die "no performance data: $first";
my $written = () = $perfdata =~ /'[^'=]+'=/g;
my @read = Monitoring::Plugin::Performance->parse_perfstring($perfdata);
@read == $written or die "$written items were written and " . scalar(@read) . " read: $perfdata";
for my $item (@read) {
    printf "%s\t%s\t%s\t%s\t%s\n", $item->label, $item->value, $item->uom, $item->warning // '', $item->critical // '';
}
