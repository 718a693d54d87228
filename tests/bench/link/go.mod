module wgd.test/link

go 1.23
